namespace Sluice.Worker.Batching;

/// <summary>
/// Who uses a model: requests, the memory of batches, whatever else holds it. The last one to leave after it was closed frees it: a session that
/// ends while something of it is in use is the end of the process, not an exception.
/// </summary>
internal sealed class ModelUsers(Action free)
{
    private readonly Lock gate = new();
    private int users;
    private bool closed;

    /// <summary>One more; false: it is closed, and nobody comes in any more.</summary>
    public bool TryEnter()
    {
        lock (gate)
        {
            if (closed) return false;
            users++;
            return true;
        }
    }

    /// <summary>One more on behalf of somebody who is inside, closed or not.</summary>
    public void Join()
    {
        lock (gate) users++;
    }

    public void Leave()
    {
        lock (gate)
            if (--users > 0 || !closed) return;
        free();
    }

    /// <summary>Nobody comes in from now on.</summary>
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
