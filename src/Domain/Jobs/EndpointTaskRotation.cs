namespace Sluice.Domain.Jobs;

/// <summary>
/// Repeats a task for each of many endpoints, several concurrently and at most one per endpoint. An endpoint whose task
/// takes long skips rounds and does not delay other endpoints.
/// </summary>
/// <param name="atOnce">
/// The number of concurrent tasks. With 32, a round over 2,000 endpoints takes about 60 round trips to Redis.
/// </param>
public sealed class EndpointTaskRotation(int atOnce = 32)
{
    private readonly Lock gate = new();
    private readonly HashSet<string> known = new(StringComparer.Ordinal);
    private readonly Queue<string> waiting = [];
    private int running;

    /// <summary>Starts a round and does not wait for its end.</summary>
    /// <param name="endpoints">The endpoint ids. An endpoint whose task still waits or runs is skipped.</param>
    /// <param name="chore">The task. It reports its own failures.</param>
    /// <param name="ct">Prevents further tasks from starting.</param>
    public void Start(IEnumerable<string> endpoints, Func<string, Task> chore, CancellationToken ct)
    {
        lock (gate)
        {
            foreach (var id in endpoints)
                if (known.Add(id)) waiting.Enqueue(id);
        }

        while (Next() is { } id) _ = RunAsync(id, chore, ct);
    }

    private string? Next()
    {
        lock (gate)
        {
            if (running == atOnce || !waiting.TryDequeue(out var id)) return null;
            running++;
            return id;
        }
    }

    private async Task RunAsync(string id, Func<string, Task> chore, CancellationToken ct)
    {
        for (string? next = id; next is not null; next = Ended(next))
        {
            try
            {
                if (!ct.IsCancellationRequested) await chore(next);
            }
            catch (Exception)
            {
                // The next round retries.
            }
        }
    }

    /// <summary>Marks a task as ended and returns the next endpoint; null: none waits.</summary>
    private string? Ended(string id)
    {
        lock (gate)
        {
            known.Remove(id);
            if (waiting.TryDequeue(out var next)) return next;
            running--;
            return null;
        }
    }
}
