namespace Sluice.Core.Dispatch;

/// <summary>The work that one gateway has at one worker. Guarded by its endpoint's gate.</summary>
internal sealed class WorkerUse(WorkerAddress worker)
{
    private int works;
    private int atLoss;

    public WorkerAddress Worker => worker;

    public void Enter() => works++;

    /// <summary>Counts one work out. All work of a worker that dies ends with it, one after another: the first one that reports the loss fixes
    /// how much work was there.</summary>
    /// <returns>Whether the work was the only one of this gateway when the worker was lost; false when it was not lost.</returns>
    public bool Leave(bool lost)
    {
        if (lost) atLoss = Math.Max(atLoss, works);
        var alone = lost && atLoss == 1;
        if (--works == 0) atLoss = 0;
        return alone;
    }
}
