using Sluice.ControlPlane.Scheduling;

namespace Sluice.ControlPlane.Tests.Scheduling;

public sealed class ConcurrentRunsTest
{
    [Fact]
    public async Task Work_up_to_the_limit_waits_concurrently_and_one_item_runs_at_a_time()
    {
        var (begun, running, most) = (0, 0, 0);
        var open = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var full = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var scheduler = new ConcurrentExclusiveSchedulerPair().ExclusiveScheduler;
        var all = Task.Factory.StartNew(() => ConcurrentRuns.ForEachAsync(Enumerable.Range(0, 20), 8, async _ =>
        {
            Run();
            if (begun == 8) full.TrySetResult();
            await open.Task;
            Run();
        }), CancellationToken.None, TaskCreationOptions.DenyChildAttach, scheduler).Unwrap();
        await full.Task;
        Assert.Equal(8, begun);
        open.SetResult();
        await all;
        Assert.Equal((40, 1), (begun, most));

        void Run()
        {
            most = Math.Max(most, Interlocked.Increment(ref running));
            begun++;
            Thread.SpinWait(1000);
            Interlocked.Decrement(ref running);
        }
    }

    [Fact]
    public async Task After_a_failure_no_more_items_are_started()
    {
        var begun = 0;
        var gate = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var runs = ConcurrentRuns.ForEachAsync(Enumerable.Range(0, 20), 2, n =>
        {
            begun++;
            return n == 1 ? throw new FormatException("no") : gate.Task;
        });
        gate.SetResult();
        var failed = await Assert.ThrowsAsync<FormatException>(() => runs);
        Assert.Equal("no", failed.Message);
        Assert.Equal(2, begun);
    }
}
