using Sluice.Core.Jobs;

namespace Sluice.Gateway.Jobs;

/// <summary>What becomes of an output whose file could not be written.</summary>
public enum OutputStep
{
    /// <summary>It is written again after <see cref="OutputRetry.Pause"/>.</summary>
    Retry,

    /// <summary>The job returns to the queue, uncounted: another gateway, or this one after its start, runs it again.</summary>
    GiveBack,

    /// <summary>The job fails with OUTPUT_LOST.</summary>
    Fail,
}

/// <summary>For how long an output is kept for a payload folder that cannot take it. Its worker slot is kept too, which bounds the outputs in memory.</summary>
public static class OutputRetry
{
    public static readonly TimeSpan Pause = TimeSpan.FromSeconds(0.5);

    /// <summary>A full disk or an error of it. In the trial of November 2026, disks that filled had space again after 3 to 9 s.</summary>
    public static readonly TimeSpan DiskPatience = TimeSpan.FromSeconds(60);

    /// <summary>A share that is away: other gateways may have it, so the job runs there instead.</summary>
    public static readonly TimeSpan SharePatience = TimeSpan.FromSeconds(5);

    /// <summary>The next step.</summary>
    /// <param name="fault">Why the last write failed.</param>
    /// <param name="waited">Since the first write.</param>
    /// <param name="leaving">The gateway stops, and waits no longer.</param>
    public static OutputStep Next(PayloadFault fault, TimeSpan waited, bool leaving)
    {
        if (leaving) return OutputStep.GiveBack;
        if (fault == PayloadFault.Unavailable) return waited < SharePatience ? OutputStep.Retry : OutputStep.GiveBack;
        return waited < DiskPatience ? OutputStep.Retry : OutputStep.Fail;
    }
}
