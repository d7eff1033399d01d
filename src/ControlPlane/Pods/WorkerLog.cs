using Sluice.Shared;
using Sluice.Storage.Fleet;

namespace Sluice.ControlPlane.Pods;

/// <summary>
/// The lines of one worker that are not stored yet. The number of lines is limited, and so is their rate: a worker that
/// writes in a loop must not occupy Redis. Where lines were dropped, a line says how many.
/// </summary>
/// <param name="endpointId">The endpoint.</param>
/// <param name="podId">The worker.</param>
/// <param name="adoptedAt">
/// When the worker was found running: its host repeats its last lines, which may be stored already. Null: it was
/// started by this gateway.
/// </param>
internal sealed class WorkerLog(string endpointId, string podId, DateTimeOffset? adoptedAt)
{
    /// <summary>Lines a second that are stored over a long time.</summary>
    internal const int Rate = 200;

    /// <summary>Lines that are stored in one burst. It is also the maximum number of lines that wait.</summary>
    internal const int Burst = WorkerLogStore.MaxLines;

    /// <summary>Characters of a line of the gateway: a reason may contain three lines of the worker.</summary>
    internal const int MaxReason = 2000;

    private readonly Lock gate = new();
    private readonly Queue<WorkerOutput> waiting = [];
    private double allowed = Burst;
    private DateTimeOffset? counted;
    private long dropped;

    public string EndpointId => endpointId;

    public string PodId => podId;

    /// <summary>When the worker was adopted, until its first lines were compared with the stored ones.</summary>
    public DateTimeOffset? AdoptedAt { get; private set; } = adoptedAt;

    /// <summary>Adds a line. Returns false if it was dropped.</summary>
    public bool Add(string text, DateTimeOffset now)
    {
        lock (gate)
        {
            var elapsed = counted is { } last ? Math.Max(0, (now - last).TotalSeconds) : 0;
            (allowed, counted) = (Math.Min(Burst, allowed + (elapsed * Rate)), now);
            if (allowed < 1 || waiting.Count >= Burst)
            {
                dropped++;
                return false;
            }

            allowed--;
            EnqueueDropped(now);
            waiting.Enqueue(new WorkerOutput(now, text));
            return true;
        }
    }

    /// <summary>Adds a line of the gateway, however fast the worker wrote.</summary>
    public void AddSystem(string text, DateTimeOffset now)
    {
        lock (gate)
        {
            EnqueueDropped(now);
            waiting.Enqueue(new WorkerOutput(now, PrintableText.Escape(text, MaxReason), IsSystem: true));
        }
    }

    /// <summary>Returns the lines that wait, without those that are stored already.</summary>
    /// <param name="stored">The last stored lines, if the worker was adopted; otherwise empty.</param>
    public IReadOnlyList<WorkerOutput> Peek(IReadOnlyList<string> stored)
    {
        lock (gate)
        {
            var repeated = AdoptedAt is not null ? CountRepeated(stored, [.. waiting.Select(l => l.Text)]) : 0;
            AdoptedAt = null;
            for (; repeated > 0; repeated--) waiting.Dequeue();
            return [.. waiting];
        }
    }

    /// <summary>Removes the oldest lines, which are stored now.</summary>
    public void Remove(int count)
    {
        lock (gate)
        {
            for (; count > 0 && waiting.Count > 0; count--) waiting.Dequeue();
        }
    }

    private void EnqueueDropped(DateTimeOffset now)
    {
        if (dropped > 0)
            waiting.Enqueue(
                new WorkerOutput(now, $"({dropped} lines were not stored: the worker wrote too fast)", IsSystem: true));
        dropped = 0;
    }

    /// <summary>
    /// Counts the first lines that repeat the stored ones: the longest begin of <paramref name="lines"/> with which
    /// <paramref name="stored"/> ends.
    /// </summary>
    internal static int CountRepeated(IReadOnlyList<string> stored, IReadOnlyList<string> lines)
    {
        for (var count = Math.Min(stored.Count, lines.Count); count > 0; count--)
            if (stored.Skip(stored.Count - count).SequenceEqual(lines.Take(count)))
                return count;
        return 0;
    }
}
