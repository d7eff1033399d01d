using System.Diagnostics;

namespace Sluice.LoadGenerator;

/// <summary>What a slice of load saw.</summary>
public sealed class LoadResult
{
    public Histogram Latency { get; } = new();

    /// <summary>From the intended start to the first byte of the body.</summary>
    public Histogram FirstByte { get; } = new();

    /// <summary>How late the generator itself was: from the intended start to the sending. Open loop only.</summary>
    public Histogram Lateness { get; } = new();

    public long Failed { get; set; }

    /// <summary>Those among the failed that were answered 429.</summary>
    public long Refused { get; set; }

    public TimeSpan Took { get; set; }

    /// <summary>Answers a second.</summary>
    public double Rate => Latency.Count / Took.TotalSeconds;

    /// <summary>Takes down an answer of this status to what was asked, or should have been, at this moment.</summary>
    public void Note(int status, long asked)
    {
        if (status == 200) Latency.Record(Stopwatch.GetElapsedTime(asked));
        else Failed++;
        if (status == 429) Refused++;
    }

    public void Merge(LoadResult other)
    {
        Latency.Merge(other.Latency);
        FirstByte.Merge(other.FirstByte);
        Lateness.Merge(other.Lateness);
        Failed += other.Failed;
        Refused += other.Refused;
        Took += other.Took;
    }
}
