using Sluice.Worker.Logging;

namespace Sluice.Worker.Tracing;

/// <summary>Selects the requests that are traced by fixed settings, and writes their traces. Thread-safe.</summary>
internal sealed class TraceSampler(TraceSettings settings, WorkerLog log)
{
    private readonly Lock gate = new();
    private readonly List<string> kept = [];
    private int seen;
    private int left = settings.Count;
    private int written;
    private bool retired;

    /// <summary>The settings.</summary>
    public TraceSettings Settings { get; } = settings;

    /// <summary>Remaining number of traces; -1: unlimited.</summary>
    public int Left => Volatile.Read(ref left);

    /// <summary>
    /// Counts a request, and returns whether it is traced: every <c>Rate</c>-th request while traces are left.
    /// </summary>
    public bool TrySelect()
    {
        if (!Settings.Timestamps || Left == 0) return false;
        if ((uint)Interlocked.Increment(ref seen) % (uint)Settings.Rate != 0) return false;
        for (var now = Left; now >= 0;)
        {
            if (now == 0) return false;
            var was = Interlocked.CompareExchange(ref left, now - 1, now);
            if (was == now) return true;
            now = was;
        }

        return true;
    }

    /// <summary>Writes a trace, or stores it until there are enough traces to write together.</summary>
    public void Write(string trace)
    {
        lock (gate)
        {
            kept.Add(trace);
            written++;
            if (retired || kept.Count >= Settings.Frequency || written == Settings.Count) Flush();
        }
    }

    /// <summary>
    /// Writes the stored traces after the settings have changed. Traces that end later are written immediately.
    /// </summary>
    public void Retire()
    {
        lock (gate)
        {
            retired = true;
            Flush();
        }
    }

    /// <summary>
    /// Writes all stored traces as one line with one JSON array, in the format of Triton's trace files.
    /// </summary>
    private void Flush()
    {
        if (kept.Count > 0) log.WriteAlways("Trace", $"[{string.Join(',', kept)}]");
        kept.Clear();
    }
}
