using Sluice.Worker.Logging;

namespace Sluice.Worker.Tracing;

/// <summary>Picks the requests that are traced, by the settings that it was made with, and writes their traces. The owner of its counts.</summary>
internal sealed class TraceSampler(TraceSettings settings, WorkerLog log)
{
    private readonly Lock gate = new();
    private readonly List<string> kept = [];
    private int seen;
    private int left = settings.Count;
    private int written;
    private bool retired;

    public TraceSettings Settings { get; } = settings;

    /// <summary>Traces that will still be made; -1: without end.</summary>
    public int Left => Volatile.Read(ref left);

    /// <summary>Whether the request that has come is traced: each <c>Rate</c>-th, as long as there are traces left.</summary>
    public bool Takes()
    {
        if (!Settings.Timestamps || Left == 0 || (uint)Interlocked.Increment(ref seen) % (uint)Settings.Rate != 0) return false;
        for (var now = Left; now >= 0;)
        {
            if (now == 0) return false;
            var was = Interlocked.CompareExchange(ref left, now - 1, now);
            if (was == now) return true;
            now = was;
        }

        return true;
    }

    /// <summary>Writes an ended trace, or keeps it until there are enough to be written together.</summary>
    public void Ended(string trace)
    {
        lock (gate)
        {
            kept.Add(trace);
            written++;
            if (retired || kept.Count >= Settings.Frequency || written == Settings.Count) Flush();
        }
    }

    /// <summary>Other settings count from now on: what is kept is written, and what still ends then, at once.</summary>
    public void Retire()
    {
        lock (gate)
        {
            retired = true;
            Flush();
        }
    }

    /// <summary>One line, one JSON array: as Triton's trace files.</summary>
    private void Flush()
    {
        if (kept.Count > 0) log.Always("Trace", $"[{string.Join(',', kept)}]");
        kept.Clear();
    }
}
