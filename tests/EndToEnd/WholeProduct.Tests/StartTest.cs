using System.Net;
using System.Net.Sockets;
using Sluice.Testing;

namespace Sluice.WholeProduct.Tests;

/// <summary>Tests that a start that cannot succeed ends with one line of text and exit code 2.</summary>
public sealed class StartTest
{
    private static readonly Dictionary<string, string?> None = [];

    [Theory]
    [InlineData("http://192.0.2.1:8081", "this machine does not have the address 192.0.2.1")]
    [InlineData("http://127.0.0.1:PORT", "another program uses port")]
    [InlineData("http://127.0.0.1:8080/path", "without a path")]
    public async Task The_error_contains_the_address_that_cannot_be_bound(string url, string says)
    {
        using var taken = new TcpListener(IPAddress.Loopback, 0);
        taken.Start();
        url = url.Replace("PORT", $"{((IPEndPoint)taken.LocalEndpoint).Port}", StringComparison.Ordinal);
        Assert.Contains(says, await RefusedAsync(new() { ["SLUICE_URLS"] = url }), StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_error_of_a_missing_redis_server_contains_the_package() =>
        Assert.Contains("apt-get install redis-server", await RefusedAsync(new() { ["PATH"] = "/nowhere" }),
        StringComparison.Ordinal);

    [Fact]
    public async Task A_wrong_redis_password_stops_the_start()
    {
        var redis = new RedisFixture();
        await redis.InitializeAsync();
        var address = redis.ConnectionString.Split(',')[0];
        Assert.Contains("rejected the password",
            await RefusedAsync(new() { ["SLUICE_REDIS"] = $"redis://:wrong@{address}/0" }), StringComparison.Ordinal);
        await redis.DisposeAsync();
    }

    [Theory]
    [InlineData("--help", 0, "Usage: Sluice.Gateway")]
    [InlineData("--version", 0, "Sluice ")]
    [InlineData("strat", 2, "the arguments are 'strat'; expected none, or one of health, --help, --version")]
    public async Task Arguments_print_text_and_do_not_start_the_gateway(string argument, int code, string says)
    {
        await using var gateway = new ChildProcess(Repository.Gateway, [argument], None);
        await gateway.LineAsync(says);
        Assert.Equal(code, await gateway.ExitAsync());
        Assert.DoesNotContain("listens", gateway.Output, StringComparison.Ordinal);
    }

    private static async Task<string> RefusedAsync(Dictionary<string, string?> environment)
    {
        var folder = Directory.CreateTempSubdirectory("sluice-start-").FullName;
        environment["SLUICE_DATA"] = Path.Combine(folder, "data");
        environment.TryAdd("SLUICE_URLS", "http://127.0.0.1:0");
        await using var gateway = new ChildProcess(Repository.Gateway, [], environment);
        Assert.Equal(2, await gateway.ExitAsync());
        Directory.Delete(folder, recursive: true);
        var line = await gateway.LineAsync("sluice: ");
        // There is no stack trace.
        Assert.Single(gateway.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries));
        return line;
    }
}
