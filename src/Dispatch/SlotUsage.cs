namespace Sluice.Dispatch;

/// <summary>
/// Counts the slots of one endpoint that requests and jobs of this gateway use, for the reports to Redis and for
/// Retry-After values. Not thread-safe except <see cref="Busy"/>: the owner synchronizes access.
/// </summary>
internal sealed class SlotUsage(TimeProvider time)
{
    private int busy;
    private int reported;
    private long completed;
    private SlotUsageMeter meter = new(time);

    /// <summary>The number of slots in use.</summary>
    public int Busy => Volatile.Read(ref busy);

    /// <summary>The most slots in use since the last report.</summary>
    public int Peak { get; private set; }

    /// <summary>The number of slots in use that were claimed for jobs.</summary>
    public int ForJobs { get; private set; }

    /// <summary>How fast requests complete.</summary>
    public ServiceRate Rate { get; } = new();

    /// <summary>Whether the next report differs from a report of no use.</summary>
    public bool HasReport => completed > 0 || reported > 0 || busy > 0;

    /// <summary>Records that a slot is in use from now on.</summary>
    public void Enter(bool isForJob)
    {
        meter.Advance(busy++);
        Peak = Math.Max(Peak, busy);
        if (isForJob) ForJobs++;
    }

    /// <summary>Records that the use of a slot has ended.</summary>
    public void Leave(bool wasForJob)
    {
        meter.Advance(busy--);
        completed++;
        if (wasForJob) ForJobs--;
    }

    /// <summary>Records that the slot of the last <see cref="Leave"/> is in use again, without a pause.</summary>
    public void Reuse() => busy++;

    /// <summary>Updates the service rate; called once a second.</summary>
    public void Tick() => Rate.Tick(completed);

    /// <summary>Starts a new measurement of the peak.</summary>
    public void ResetPeak() => Peak = busy;

    /// <summary>Returns the use since the last report, and starts a new measurement.</summary>
    public SlotUsageReport TakeReport()
    {
        meter.Advance(busy);
        var report = new SlotUsageReport(Math.Max(Peak, busy), completed, meter.TakeMs());
        reported = report.Busy;
        ResetPeak();
        completed = 0;
        return report;
    }
}

/// <summary>The use of slots since the last report.</summary>
/// <param name="Busy">The most slots in use at the same time.</param>
/// <param name="Completed">The number of uses that ended.</param>
/// <param name="ServedMs">Milliseconds in use, summed over slots.</param>
internal readonly record struct SlotUsageReport(int Busy, long Completed, long ServedMs);
