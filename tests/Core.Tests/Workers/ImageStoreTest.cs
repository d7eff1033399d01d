using Sluice.Core.Endpoints;
using Sluice.Core.Workers.Docker;
using Sluice.Testing;

namespace Sluice.Core.Tests.Workers;

/// <summary>A pull ends with the last who waits for it, and after its time.</summary>
public sealed class ImageStoreTest : IDisposable
{
    private const string Ping = "HTTP/1.1 200 OK\r\nApi-Version: 1.44\r\nContent-Length: 2\r\n\r\nOK";
    private const string Pulling = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

    private readonly ManualTime time = new();
    private readonly RawServer daemon = new(Ping, Pulling);
    private readonly EngineClient engine;
    private readonly ImageStore images;
    private volatile string told = "";

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
    public async Task The_last_one_who_gives_up_ends_it_and_nobody_else_does()
    {
        using var first = new CancellationTokenSource();
        using var second = new CancellationTokenSource();
        var pulls = new[] { EnsureAsync(first.Token), EnsureAsync(second.Token) };
        await Eventually.HoldsAsync(() => Task.FromResult(daemon.Asked == 2), "the pull");
        await first.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => pulls[0]);
        Assert.False(daemon.Left.IsCompleted);

        await second.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => pulls[1]);
        await daemon.Left.WaitAsync(ChildProcess.Patience, TimeProvider.System);
    }

    [Fact]
    public async Task One_that_trickles_for_longer_than_its_time_is_given_up()
    {
        var pull = EnsureAsync(CancellationToken.None);
        await Eventually.HoldsAsync(() => Task.FromResult(daemon.Asked == 2), "the pull");
        var minute = 0;
        while (!pull.IsCompleted && minute < 100)
        {
            minute++;
            await daemon.SayAsync($$$"""{"status":"Downloading","id":"layer","progressDetail":{"current":{{{minute << 20}}},"total":{{{1L << 30}}}}}""" + "\n");
            await Eventually.HoldsAsync(() =>
            {
                time.Advance(TimeSpan.FromSeconds(1));
                return Task.FromResult(pull.IsCompleted || told.Contains($": {minute} of 1024 MiB", StringComparison.Ordinal));
            }, "the word was heard");
            time.Advance(TimeSpan.FromMinutes(1));
        }

        Assert.InRange(minute, 30, 60);
        var e = await Assert.ThrowsAnyAsync<InvalidOperationException>(() => pull.WaitAsync(ChildProcess.Patience, TimeProvider.System));
        Assert.Contains("it took longer than 1h", e.Message, StringComparison.Ordinal);
    }

    private Task<bool> EnsureAsync(CancellationToken ct) => images.EnsureAsync("worker:1", PullPolicy.Always, words => told = words, ct);
}
