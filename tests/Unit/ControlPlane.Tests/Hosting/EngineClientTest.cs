using System.Net;
using Sluice.Domain.Declarations;
using Sluice.Hosting.Docker;
using Sluice.Testing;

namespace Sluice.ControlPlane.Tests.Hosting;

/// <summary>
/// A daemon that hangs, at any byte, blocks a caller for no longer than the time limit of a call. The API version is
/// the daemon's, not that of a proxy's error.
/// </summary>
public sealed class EngineClientTest
{
    private const string Ping = "HTTP/1.1 200 OK\r\nApi-Version: 1.44\r\nContent-Length: 2\r\n\r\nOK";
    private const string ProxyError = "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 3\r\n\r\nbad";
    private const string Missing = "HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\n{}";
    private const string HungBody = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"Id\":";
    private const string HungError = "HTTP/1.1 500 Oh\r\nContent-Length: 100\r\n\r\n{\"message\":";

    [Theory]
    [InlineData("inspect", "")]
    [InlineData("inspect", HungBody)]
    [InlineData("inspect", HungError)]
    [InlineData("logs", "")]
    [InlineData("logs", HungError)]
    [InlineData("pull", "")]
    [InlineData("pull", HungError)]
    public async Task The_time_limit_of_a_call_covers_its_first_to_its_last_byte(string name, string begun)
    {
        using var daemon = new RawServer(Ping, begun);
        var time = new ManualTime();
        using var engine = new EngineClient(daemon.Uri, time);

        var call = CallAsync(engine, name);
        await Eventually.HoldsAsync(() => daemon.Asked == 2, "the second request");
        Assert.False(call.IsCompleted);
        time.Advance(TimeSpan.FromMinutes(2));

        var e = await Assert.ThrowsAsync<EngineException>(
            () => call.WaitAsync(ChildProcess.Patience, TimeProvider.System));
        Assert.True(e.IsDown);
        Assert.Contains("did not answer within 60 s", e.Message, StringComparison.Ordinal);
        // A daemon that hangs for hours would otherwise exhaust the gateway's sockets.
        await daemon.Left.WaitAsync(ChildProcess.Patience, TimeProvider.System);
    }

    [Fact]
    public async Task An_answer_of_a_proxy_does_not_decide_the_API_version_of_later_calls()
    {
        using var daemon = new RawServer(ProxyError, ProxyError, Ping, Missing, Missing);
        using var engine = new EngineClient(daemon.Uri, new ManualTime());

        var e = await Assert.ThrowsAsync<EngineException>(() => InspectAsync(engine));
        Assert.Equal(HttpStatusCode.BadGateway, e.Status);
        Assert.Null(await InspectAsync(engine));
        Assert.Null(await InspectAsync(engine));

        Assert.Equal(
            ["/_ping", "/containers/c/json", "/_ping", "/v1.44/containers/c/json", "/v1.44/containers/c/json"],
            daemon.Paths);
    }

    [Theory]
    [InlineData("1.40", "/v1.40/containers/c/json")]
    [InlineData("1.99", "/v1.44/containers/c/json")]
    public async Task The_API_version_is_the_newest_that_both_sides_support(string daemons, string path)
    {
        using var daemon = new RawServer(Ping.Replace("1.44", daemons, StringComparison.Ordinal), Missing);
        using var engine = new EngineClient(daemon.Uri, new ManualTime());
        Assert.Null(await InspectAsync(engine));
        Assert.Equal(["/_ping", path], daemon.Paths);
    }

    [Fact]
    public async Task A_daemon_that_is_too_old_is_reported_with_the_versions()
    {
        using var daemon = new RawServer(Ping.Replace("1.44", "1.39", StringComparison.Ordinal));
        using var engine = new EngineClient(daemon.Uri, new ManualTime());
        var e = await Assert.ThrowsAsync<EngineException>(() => InspectAsync(engine));
        Assert.False(e.IsDown);
        Assert.Contains("is '1.39'; expected 1.40 (Docker 19.03) or newer", e.Message, StringComparison.Ordinal);
    }

    private static Task<ContainerInfo?> InspectAsync(EngineClient engine) =>
        engine.InspectAsync("c", CancellationToken.None);

    private static Task CallAsync(EngineClient engine, string name) => name switch
    {
        "inspect" => InspectAsync(engine),
        "logs" => engine.LogsAsync("c", "0", tail: 0, follow: true, CancellationToken.None),
        _ => engine.PullAsync(ImageName.Parse("worker:1"), null, CancellationToken.None),
    };
}
