using System.Collections.Concurrent;
using System.Diagnostics;

namespace Sluice.Hosting.Processes;

/// <summary>
/// Starts all processes on one thread. The kernel ties "end with the parent" (PR_SET_PDEATHSIG) to the thread that
/// forked: a child that a pool thread started would be killed when the pool retires that thread.
/// </summary>
internal sealed class ProcessSpawner
{
    private readonly BlockingCollection<(ProcessStartInfo Start, TaskCompletionSource<Process> Done)> orders = [];

    public ProcessSpawner() => new Thread(Run) { IsBackground = true, Name = "process spawner" }.Start();

    public Task<Process> StartAsync(ProcessStartInfo start)
    {
        var done = new TaskCompletionSource<Process>(TaskCreationOptions.RunContinuationsAsynchronously);
        orders.Add((start, done));
        return done.Task;
    }

    private void Run()
    {
        foreach (var (start, done) in orders.GetConsumingEnumerable())
        {
            try
            {
                done.SetResult(Process.Start(start)!);
            }
            catch (Exception e)
            {
                done.SetException(e);
            }
        }
    }
}
