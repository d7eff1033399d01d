using Sluice.Domain.Fleet;

namespace Sluice.Dispatch;

/// <summary>Counts the work of one gateway on one worker. The lock of its endpoint guards it.</summary>
internal sealed class WorkerUse(WorkerAddress worker)
{
    private int works;
    private int atLoss;

    public WorkerAddress Worker => worker;

    public void Enter() => works++;

    /// <summary>
    /// Removes one unit of work. When a worker dies, all its work ends, one unit after another: the first unit that
    /// reports the loss fixes how much work there was.
    /// </summary>
    /// <returns>
    /// Whether this was the only work of this gateway when the worker was lost; false if the worker was not lost.
    /// </returns>
    public bool Leave(bool lost)
    {
        if (lost) atLoss = Math.Max(atLoss, works);
        var alone = lost && atLoss == 1;
        if (--works == 0) atLoss = 0;
        return alone;
    }
}
