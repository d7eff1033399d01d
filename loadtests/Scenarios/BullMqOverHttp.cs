using System.Globalization;
using Sluice.Testing;

namespace Sluice.Scenarios;

/// <summary>
/// BullMQ with HTTP on both sides, as it is deployed in front of a model: one Node process accepts the requests, and
/// the handler of another one posts each job to a worker that does nothing, the same worker as behind the gateways.
/// </summary>
internal sealed class BullMqOverHttp : IAsyncDisposable
{
    private readonly ChildProcess noop;
    private readonly ChildProcess work;
    private readonly ChildProcess front;
    private readonly int workPort = FreePort.Find();
    private readonly int frontPort = FreePort.Find();

    /// <param name="redis">The Redis of its jobs.</param>
    /// <param name="noopProgram">The worker that does nothing.</param>
    /// <param name="concurrency">Number of concurrent jobs.</param>
    public BullMqOverHttp(RedisFixture redis, string noopProgram, int concurrency)
    {
        var workerPort = FreePort.Find();
        noop = new ChildProcess(noopProgram, [], new Dictionary<string, string?> { ["HTTP1_PORT"] = $"{workerPort}", ["PORT"] = null });
        var script = Path.Combine(Repository.Root, "loadtests", "Peers", "bullmq", "http.mjs");
        work = Node("work", workPort, $"{workerPort}", $"{concurrency}");
        front = Node("front", frontPort);

        ChildProcess Node(string role, int port, params string[] more) =>
            new("/usr/bin/env", ["node", script, role, $"{port}", $"{redis.Port}", RedisFixture.Password, .. more], new Dictionary<string, string?>());
    }

    /// <summary>Takes jobs.</summary>
    public Uri Url => new($"http://127.0.0.1:{frontPort}/run");

    /// <summary>Its two processes.</summary>
    public int[] Processes => [front.Id, work.Id];

    public Task ReadyAsync() => Task.WhenAll(noop.LineAsync("ready"), work.LineAsync("ready"), front.LineAsync("ready"));

    /// <summary>Jobs completed since it is up.</summary>
    public async Task<long> CompletedAsync(HttpClient http) =>
        long.Parse(await http.GetStringAsync(new Uri($"http://127.0.0.1:{workPort}/")), CultureInfo.InvariantCulture);

    public async ValueTask DisposeAsync()
    {
        await front.DisposeAsync();
        await work.DisposeAsync();
        await noop.DisposeAsync();
    }
}
