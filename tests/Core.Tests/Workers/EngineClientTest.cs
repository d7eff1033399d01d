using Sluice.Hosting.Docker;
using Sluice.Testing;

namespace Sluice.Core.Tests.Workers;

/// <summary>A daemon that hangs, at any byte, blocks a caller for no longer than the time limit of a call.</summary>
public sealed class EngineClientTest
{
    private const string Ping = "HTTP/1.1 200 OK\r\nApi-Version: 1.44\r\nContent-Length: 2\r\n\r\nOK";

    [Theory]
    [InlineData("")]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"Id\":")]
    [InlineData("HTTP/1.1 500 Oh\r\nContent-Length: 100\r\n\r\n{\"message\":")]
    public async Task The_time_limit_of_a_call_covers_its_first_to_its_last_byte(string begun)
    {
        using var daemon = new RawServer(Ping, begun);
        var time = new ManualTime();
        using var engine = new EngineClient(daemon.Uri, time);

        var call = engine.InspectAsync("0f1e2d3c4b5a", CancellationToken.None);
        await Eventually.HoldsAsync(() => Task.FromResult(daemon.Asked == 2), "the second request");
        Assert.False(call.IsCompleted);
        time.Advance(TimeSpan.FromMinutes(2));

        var e = await Assert.ThrowsAsync<EngineException>(
            () => call.WaitAsync(ChildProcess.Patience, TimeProvider.System));
        Assert.True(e.IsDown);
        Assert.Contains("did not answer within 60 s", e.Message, StringComparison.Ordinal);
    }
}
