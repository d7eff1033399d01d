namespace Sluice.Domain.Series;

/// <summary>
/// What happened at an endpoint in one step of time, as one gateway or all of them saw it. Not thread-safe.
/// </summary>
public sealed class SeriesCounts
{
    /// <summary>The first byte of the stored form. Gateways ignore other forms.</summary>
    private const byte Form = 1;

    /// <summary>Requests and attempts of jobs that have ended.</summary>
    public long Requests { get; set; }

    /// <summary>
    /// Those of them that failed: a status of 500 or more, an incomplete response, or a failed attempt.
    /// </summary>
    public long Errors { get; set; }

    /// <summary>Generated tokens.</summary>
    public long Tokens { get; set; }

    /// <summary>The most requests and jobs that waited for a slot; null: unknown.</summary>
    public long? Queued { get; set; }

    /// <summary>The most ready workers; null: unknown.</summary>
    public long? Ready { get; set; }

    /// <summary>The most starting workers; null: unknown.</summary>
    public long? Starting { get; set; }

    /// <summary>Waits for a slot without the cold start; zero for those that did not wait.</summary>
    public LogHistogram Queue { get; } = new();

    /// <summary>Parts of waits in which the worker was not ready yet, of those that had such a part.</summary>
    public LogHistogram Cold { get; } = new();

    /// <summary>Times with a slot.</summary>
    public LogHistogram Run { get; } = new();

    /// <summary>Times from the arrival to the first part of a stream of generated text.</summary>
    public LogHistogram FirstToken { get; } = new();

    /// <summary>Times from the arrival to the end.</summary>
    public LogHistogram Total { get; } = new();

    private LogHistogram[] Histograms => [Queue, Cold, Run, FirstToken, Total];

    /// <summary>Adds what another gateway saw, or what happened in another step: levels are not added.</summary>
    public void Add(SeriesCounts other)
    {
        AddEvents(other);
        Queued = Highest(Queued, other.Queued);
        Ready = Highest(Ready, other.Ready);
        Starting = Highest(Starting, other.Starting);
    }

    /// <summary>Adds what happened at another endpoint in the same step: levels are added.</summary>
    public void AddEndpoint(SeriesCounts other)
    {
        AddEvents(other);
        Queued = Sum(Queued, other.Queued);
        Ready = Sum(Ready, other.Ready);
        Starting = Sum(Starting, other.Starting);
    }

    /// <summary>Returns the stored form: numbers of 7 bits a byte, about 100 bytes for a busy step.</summary>
    public byte[] Write()
    {
        using var stream = new MemoryStream();
        using var writer = new BinaryWriter(stream);
        writer.Write(Form);
        foreach (var number in new[] { Requests, Errors, Tokens, Queued + 1 ?? 0, Ready + 1 ?? 0, Starting + 1 ?? 0 })
            writer.Write7BitEncodedInt64(number);
        foreach (var histogram in Histograms)
        {
            writer.Write7BitEncodedInt(histogram.Counts.Count);
            var last = 0;
            foreach (var (bucket, count) in histogram.Counts)
            {
                writer.Write7BitEncodedInt(bucket - last);
                writer.Write7BitEncodedInt64(count);
                last = bucket;
            }
        }

        return stream.ToArray();
    }

    /// <summary>Reads the stored form; null: a gateway of another version wrote it, or it is damaged.</summary>
    public static SeriesCounts? Read(byte[] stored)
    {
        try
        {
            using var reader = new BinaryReader(new MemoryStream(stored));
            if (reader.ReadByte() != Form) return null;
            long Number() => reader.Read7BitEncodedInt64();
            long? Level() => Number() is > 0 and var level ? level - 1 : null;
            var counts = new SeriesCounts
            {
                Requests = Number(), Errors = Number(), Tokens = Number(),
                Queued = Level(), Ready = Level(), Starting = Level(),
            };
            foreach (var histogram in counts.Histograms)
            {
                var bucket = 0;
                for (var left = reader.Read7BitEncodedInt(); left > 0; left--)
                {
                    bucket += reader.Read7BitEncodedInt();
                    if (bucket is < 0 or >= LogHistogram.Buckets) return null;
                    histogram.Add(bucket, Number());
                }
            }

            return counts;
        }
        catch (Exception e) when (e is IOException or FormatException)
        {
            return null;
        }
    }

    private void AddEvents(SeriesCounts other)
    {
        Requests += other.Requests;
        Errors += other.Errors;
        Tokens += other.Tokens;
        foreach (var (own, more) in Histograms.Zip(other.Histograms)) own.Add(more);
    }

    private static long? Highest(long? a, long? b) => a is null ? b : b is null ? a : Math.Max(a.Value, b.Value);

    private static long? Sum(long? a, long? b) => a is null ? b : b is null ? a : a + b;
}
