namespace Sluice.Worker.Batching;

/// <summary>
/// Counts the references to a model: requests, memory of batches, and other users. The model is freed when it is
/// closed and the last reference is released. The count is needed because freeing a session that is in use terminates
/// the process instead of throwing an exception.
/// </summary>
/// <param name="free">Frees the model. Called once.</param>
internal sealed class ModelReferenceCount(Action free)
{
    private readonly Lock gate = new();
    private int users;
    private bool closed;

    /// <summary>Adds a reference. Returns false if the model is closed.</summary>
    public bool TryEnter()
    {
        lock (gate)
        {
            if (closed) return false;
            users++;
            return true;
        }
    }

    /// <summary>
    /// Adds a reference for a caller that already holds one. This is possible even if the model is closed.
    /// </summary>
    public void Join()
    {
        lock (gate) users++;
    }

    /// <summary>Releases a reference.</summary>
    public void Leave()
    {
        lock (gate)
            if (--users > 0 || !closed) return;
        free();
    }

    /// <summary>Rejects all later references.</summary>
    public void Close()
    {
        lock (gate)
        {
            if (closed) return;
            closed = true;
            if (users > 0) return;
        }

        free();
    }
}
