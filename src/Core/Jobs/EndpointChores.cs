namespace Sluice.Core.Jobs;

/// <summary>
/// Repeats a chore for each of many endpoints: some at once, and never two for one endpoint. An endpoint whose chore takes long misses rounds;
/// it delays no other.
/// </summary>
/// <param name="atOnce">Endpoints at once. With 32, a round over 2,000 endpoints takes about 60 round trips to Redis.</param>
public sealed class EndpointChores(int atOnce = 32)
{
    private readonly Lock gate = new();
    private readonly HashSet<string> known = new(StringComparer.Ordinal);
    private readonly Queue<string> waiting = [];
    private int running;

    /// <summary>Starts a round, and does not wait for its end.</summary>
    /// <param name="endpoints">Ids; one whose chore waits or runs still is passed over.</param>
    /// <param name="chore">It reports its own failures.</param>
    /// <param name="ct">Starts no more.</param>
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
                // The next round tries again.
            }
        }
    }

    /// <summary>The endpoint that takes the place of one whose chore has ended; null: none waits.</summary>
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
