using System.Diagnostics;
using HdrHistogram;

namespace Sluice.LoadGenerator;

/// <summary>The result of one measurement.</summary>
public sealed class LoadResult
{
    public LongHistogram Latency { get; } = Latencies.Create();

    /// <summary>Time from the intended start to the first byte of the body.</summary>
    public LongHistogram FirstByte { get; } = Latencies.Create();

    /// <summary>Delay of the generator: from the intended start to the sending. Open loop only.</summary>
    public LongHistogram Lateness { get; } = Latencies.Create();

    public long Failed { get; set; }

    /// <summary>Number of failed requests with the status 429.</summary>
    public long Refused { get; set; }

    public TimeSpan Took { get; set; }

    /// <summary>Answers per second.</summary>
    public double Rate => Latency.TotalCount / Took.TotalSeconds;

    /// <summary>Records the status of a request that was sent, or was due, at a timestamp.</summary>
    public void Note(int status, long asked)
    {
        if (status == 200) Latency.Record(Stopwatch.GetElapsedTime(asked));
        else Failed++;
        if (status == 429) Refused++;
    }

    public void Merge(LoadResult other)
    {
        Latency.Add(other.Latency);
        FirstByte.Add(other.FirstByte);
        Lateness.Add(other.Lateness);
        Failed += other.Failed;
        Refused += other.Refused;
        Took += other.Took;
    }
}
