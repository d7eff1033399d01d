using System.Collections.Concurrent;
using Sluice.Storage.Redis;
using Sluice.Testing;

namespace Sluice.Storage.Tests.Redis;

public sealed class RedisCallBatcherTest
{
    private readonly ConcurrentQueue<int> sizes = [];
    private readonly ManualTime time = new();
    private TaskCompletionSource gate = new();

    [Fact]
    public async Task Items_that_arrive_during_a_call_are_sent_in_the_next_call()
    {
        var batcher = new RedisCallBatcher<int, int>(RunAsync, _ => 1, time);
        var all = Enumerable.Range(0, 20).Select(n => batcher.AddAsync(n)).ToList();
        gate.SetResult();
        Assert.Equal(Enumerable.Range(0, 20).Select(n => n * 2), await Task.WhenAll(all));
        Assert.Equal([1, 19], sizes);
    }

    [Fact]
    public async Task A_call_is_bounded_in_items_and_a_single_later_item_is_sent_immediately()
    {
        var batcher = new RedisCallBatcher<int, int>(RunAsync, _ => 1, time);
        var all = Enumerable.Range(0, 250).Select(n => batcher.AddAsync(n)).ToList();
        Assert.Equal([1], sizes);
        gate.SetResult();
        Assert.Equal(Enumerable.Range(0, 250).Select(n => n * 2), await Task.WhenAll(all));
        Assert.Equal([1, 100, 100, 49], sizes);
        gate = new TaskCompletionSource();
        var lone = batcher.AddAsync(7);
        gate.SetResult();
        Assert.Equal(14, await lone);
        Assert.Equal(1, sizes.Last());
    }

    [Fact]
    public async Task The_number_of_idle_batchers_is_bounded_and_no_busy_one_is_dropped()
    {
        var set = new RedisCallBatcherSet<int, int>(_ => new RedisCallBatcher<int, int>(RunAsync, _ => 1, time));
        var busy = set.For("busy");
        var call = busy.AddAsync(1);
        for (var n = 0; n < 2000; n++) set.For($"endpoint-{n}");
        Assert.InRange(set.Count, 1, 600);
        Assert.Same(busy, set.For("busy"));
        gate.SetResult();
        Assert.Equal(2, await call);
    }

    [Fact]
    public async Task A_call_is_bounded_in_bytes_except_for_a_single_item()
    {
        var batcher = new RedisCallBatcher<int, int>(RunAsync, n => n, time);
        var all = new[] { 1, 600_000, 600_000, 5_000_000, 1 }.Select(n => batcher.AddAsync(n)).ToList();
        gate.SetResult();
        await Task.WhenAll(all);
        Assert.Equal([1, 1, 1, 1, 1], sizes);
    }

    [Fact]
    public async Task An_item_that_is_cancelled_before_its_call_is_not_sent()
    {
        using var given = new CancellationTokenSource();
        var batcher = new RedisCallBatcher<int, int>(RunAsync, _ => 1, time);
        var (sent, kept) = (batcher.AddAsync(1, given.Token), batcher.AddAsync(3));
        var dropped = batcher.AddAsync(2, given.Token);
        await given.CancelAsync();
        gate.SetResult();
        Assert.Equal((2, 6), (await sent, await kept));
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => dropped);
        Assert.Equal([1, 1], sizes);
    }

    [Fact]
    public async Task A_call_without_an_answer_fails_its_items_and_the_next_call_is_made()
    {
        var batcher = new RedisCallBatcher<int, int>(RunAsync, _ => 1, time);
        var first = batcher.AddAsync(1);
        var second = batcher.AddAsync(2);
        time.Advance(TimeSpan.FromSeconds(3));
        await Assert.ThrowsAsync<TimeoutException>(() => first);
        gate.SetResult();
        Assert.Equal(4, await second);
    }

    private async Task<IReadOnlyList<int>> RunAsync(IReadOnlyList<int> items)
    {
        sizes.Enqueue(items.Count);
        await gate.Task;
        return [.. items.Select(n => n * 2)];
    }
}
