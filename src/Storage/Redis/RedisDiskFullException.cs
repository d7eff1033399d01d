namespace Sluice.Storage.Redis;

/// <summary>
/// Thrown when the disk of the embedded Redis is full, so a write that would be acknowledged might not be stored.
/// Nothing was sent to Redis.
/// </summary>
public sealed class RedisDiskFullException : IOException
{
    public RedisDiskFullException()
        : base("the disk of the embedded Redis is full; free space on the disk of SLUICE_DATA")
    {
    }

    public RedisDiskFullException(string message) : base(message)
    {
    }

    public RedisDiskFullException(string message, Exception inner) : base(message, inner)
    {
    }
}
