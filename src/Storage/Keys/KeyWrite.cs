namespace Sluice.Storage.Keys;

/// <summary>What a write to an API key did.</summary>
public enum KeyWrite
{
    /// <summary>The key was stored or deleted.</summary>
    Written,

    /// <summary>Nothing: the key does not exist.</summary>
    NoSuchKey,

    /// <summary>Nothing: none of the other keys exists, of which one must remain.</summary>
    LastKey,

    /// <summary>Nothing: another caller has changed the key since it was read.</summary>
    Changed,
}
