namespace Sluice.Gateway.Forwarding;

/// <summary>
/// Remembers which worker was the last to read each beginning of a request. It guesses what the key/value caches of
/// the workers contain, without asking them: a wrong guess costs only the time to read the prompt again. Thread-safe.
/// </summary>
/// <param name="capacity">Maximum number of beginnings. The ones that were used least recently are forgotten.</param>
public sealed class PrefixIndex(int capacity)
{
    private readonly Dictionary<int, LinkedListNode<Beginning>> byHash = [];

    /// <summary>The least recently used first.</summary>
    private readonly LinkedList<Beginning> used = [];
    private readonly Lock gate = new();

    /// <summary>
    /// Returns the worker that has read the longest beginning of a request, if that is at least half of the request.
    /// For less, a free choice by load is better.
    /// </summary>
    /// <param name="hashes">The request (<see cref="PrefixBlocks.Hash"/>).</param>
    public string? Find(ReadOnlySpan<int> hashes)
    {
        lock (gate)
        {
            for (var blocks = hashes.Length; blocks > 0 && blocks * 2 >= hashes.Length; blocks--)
                if (byHash.TryGetValue(hashes[blocks - 1], out var node)) return node.Value.Pod;
            return null;
        }
    }

    /// <summary>Records that a worker reads a request.</summary>
    /// <param name="hashes">The request.</param>
    /// <param name="pod">The worker.</param>
    public void Record(ReadOnlySpan<int> hashes, string pod)
    {
        lock (gate)
        {
            // The first block is the most recent one: a beginning without its own beginning is of no use.
            for (var i = hashes.Length - 1; i >= 0; i--)
            {
                if (byHash.Remove(hashes[i], out var known)) used.Remove(known);
                byHash[hashes[i]] = used.AddLast(new Beginning(hashes[i], pod));
            }

            while (byHash.Count > capacity)
            {
                byHash.Remove(used.First!.Value.Hash);
                used.RemoveFirst();
            }
        }
    }

    private readonly record struct Beginning(int Hash, string Pod);
}
