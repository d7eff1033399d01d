using k8s.Models;

namespace Sluice.Hosting.Kubernetes;

/// <summary>The latest known object of one Pod, and whether it still exists.</summary>
internal sealed class WatchedPod
{
    private readonly Lock gate = new();
    private V1Pod? latest;
    private bool deleted;
    private long seenAt;
    private TaskCompletionSource changed = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>The latest object, whether it was deleted, and a task that completes with the next change.</summary>
    public (V1Pod? Latest, bool Deleted, Task Changed) Current
    {
        get
        {
            lock (gate) return (latest, deleted, changed.Task);
        }
    }

    /// <summary>Stores an object that Kubernetes returned.</summary>
    /// <param name="pod">The object.</param>
    /// <param name="at">Timestamp of the response or event.</param>
    /// <param name="onlyFirst">Whether a known object is kept, because it may be newer.</param>
    public void Set(V1Pod pod, long at, bool onlyFirst = false)
    {
        lock (gate)
        {
            if (deleted || (onlyFirst && latest is not null)) return;
            (latest, seenAt) = (pod, at);
            Announce();
        }
    }

    /// <summary>Notes that the object no longer exists.</summary>
    /// <param name="last">Its last version; null: not known.</param>
    public void Delete(V1Pod? last)
    {
        lock (gate)
        {
            if (deleted) return;
            (latest, deleted) = (last ?? latest, true);
            Announce();
        }
    }

    /// <summary>Whether it was known before a list that does not contain it.</summary>
    public bool WasKnownBefore(long timestamp)
    {
        lock (gate) return latest is not null && !deleted && seenAt < timestamp;
    }

    private void Announce()
    {
        var done = changed;
        changed = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        done.TrySetResult();
    }
}
