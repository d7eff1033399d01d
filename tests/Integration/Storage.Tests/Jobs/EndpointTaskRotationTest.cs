using System.Collections.Concurrent;
using Sluice.Domain.Jobs;
using Sluice.Testing;

namespace Sluice.Storage.Tests.Jobs;

public sealed class EndpointTaskRotationTest
{
    [Fact]
    public async Task A_task_that_does_not_end_delays_no_other_endpoint_and_is_not_started_twice()
    {
        var chores = new EndpointTaskRotation(2);
        var (stuck, starts) = (new TaskCompletionSource(), new ConcurrentDictionary<string, int>());
        Task Chore(string id)
        {
            starts.AddOrUpdate(id, 1, (_, n) => n + 1);
            return id == "slow" ? stuck.Task : Task.CompletedTask;
        }

        for (var round = 1; round <= 3; round++)
        {
            chores.Start(["slow", "a", "b", "c"], Chore, default);
            foreach (var id in new[] { "a", "b", "c" })
                await Eventually.HoldsAsync(() => starts.GetValueOrDefault(id) == round);
        }

        Assert.Equal(1, starts["slow"]);
        stuck.SetResult();
        await Eventually.HoldsAsync(() =>
        {
            chores.Start(["slow"], Chore, default);
            return starts["slow"] > 1;
        });
    }

    [Fact]
    public async Task The_number_of_concurrent_endpoints_is_bounded()
    {
        var chores = new EndpointTaskRotation(3);
        var (open, now) = (new TaskCompletionSource(), 0);
        var done = 0;
        chores.Start(Enumerable.Range(0, 20).Select(i => $"e{i}"), async _ =>
        {
            Interlocked.Increment(ref now);
            await open.Task;
            Interlocked.Increment(ref done);
        }, default);
        Assert.Equal(3, Volatile.Read(ref now));
        open.SetResult();
        await Eventually.HoldsAsync(() => Volatile.Read(ref done) == 20);
    }

    [Fact]
    public async Task A_cancelled_round_starts_no_more_tasks()
    {
        var chores = new EndpointTaskRotation(1);
        using var stop = new CancellationTokenSource();
        var (open, starts) = (new TaskCompletionSource(), 0);
        chores.Start(["a", "b"], _ =>
        {
            starts++;
            return open.Task;
        }, stop.Token);
        await stop.CancelAsync();
        open.SetResult();
        // The task of b has ended: a later round starts it.
        await Eventually.HoldsAsync(() =>
        {
            chores.Start(["b"], _ => Task.FromResult(starts = 100), default);
            return starts == 100;
        });
    }
}
