namespace Sluice.Storage.Redis;

/// <summary>
/// Thrown when too few replicas of Redis confirmed a write. The primary has the write, so its outcome is unknown: it is
/// lost if the primary fails before a replica has it.
/// </summary>
public sealed class NotReplicatedException : IOException
{
    public NotReplicatedException() : base("Too few replicas of Redis confirmed the write")
    {
    }

    public NotReplicatedException(string message) : base(message)
    {
    }

    public NotReplicatedException(string message, Exception inner) : base(message, inner)
    {
    }
}
