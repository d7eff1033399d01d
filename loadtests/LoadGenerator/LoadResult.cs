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

    public TimeSpan Took { get; set; }

    /// <summary>Answers a second.</summary>
    public double Rate => Latency.Count / Took.TotalSeconds;

    public void Merge(LoadResult other)
    {
        Latency.Merge(other.Latency);
        FirstByte.Merge(other.FirstByte);
        Lateness.Merge(other.Lateness);
        Failed += other.Failed;
        Took += other.Took;
    }
}
