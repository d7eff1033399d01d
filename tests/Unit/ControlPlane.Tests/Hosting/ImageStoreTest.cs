using Sluice.Domain.Declarations;
using Sluice.Hosting.Docker;
using Sluice.Testing;

namespace Sluice.ControlPlane.Tests.Hosting;

/// <summary>A pull ends when no start waits for it any more, or after its time limit.</summary>
public sealed class ImageStoreTest : IDisposable
{
    private const string Ping = "HTTP/1.1 200 OK\r\nApi-Version: 1.44\r\nContent-Length: 2\r\n\r\nOK";
    private const string Pulling = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

    private readonly ManualTime time = new();
    private readonly RawServer daemon = new(Ping, Pulling);
    private readonly EngineClient engine;
    private readonly ImageStore images;
    private volatile string progress = "";

    public ImageStoreTest()
    {
        engine = new EngineClient(daemon.Uri, time);
        images = new ImageStore(engine, "", time);
    }

    public void Dispose()
    {
        engine.Dispose();
        daemon.Dispose();
    }

    [Fact]
    public async Task A_pull_is_cancelled_only_when_the_last_waiting_start_leaves()
    {
        using var first = new CancellationTokenSource();
        using var second = new CancellationTokenSource();
        var pulls = new[] { EnsureAsync(first.Token), EnsureAsync(second.Token) };
        await Eventually.HoldsAsync(() => daemon.Asked == 2, "the pull");
        await first.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => pulls[0]);
        Assert.False(daemon.Left.IsCompleted);

        await second.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => pulls[1]);
        await daemon.Left.WaitAsync(ChildProcess.Patience, TimeProvider.System);
    }

    [Fact]
    public async Task A_pull_that_exceeds_its_time_limit_fails()
    {
        var pull = EnsureAsync(CancellationToken.None);
        await Eventually.HoldsAsync(() => daemon.Asked == 2, "the pull");
        var minute = 0;
        while (!pull.IsCompleted && minute < 100)
        {
            minute++;
            var line = $$$"""{"status":"Downloading","id":"layer","progressDetail":"""
                + $$$"""{"current":{{{minute << 20}}},"total":{{{1L << 30}}}}}""" + "\n";
            await daemon.SayAsync(line);
            await Eventually.HoldsAsync(() =>
            {
                time.Advance(TimeSpan.FromSeconds(1));
                var seen = progress.Contains($": {minute} of 1024 MiB", StringComparison.Ordinal);
                return Task.FromResult(pull.IsCompleted || seen);
            }, "the progress report");
            time.Advance(TimeSpan.FromMinutes(1));
        }

        Assert.InRange(minute, 30, 60);
        var e = await Assert.ThrowsAnyAsync<InvalidOperationException>(
            () => pull.WaitAsync(ChildProcess.Patience, TimeProvider.System));
        Assert.Contains("it took longer than 1h", e.Message, StringComparison.Ordinal);
    }

    private Task<bool> EnsureAsync(CancellationToken ct) =>
        images.EnsureAsync("worker:1", PullPolicy.Always, words => progress = words, ct);
}
