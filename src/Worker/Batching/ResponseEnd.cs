namespace Sluice.Worker.Batching;

/// <summary>Result of a response.</summary>
public enum ResponseEnd
{
    /// <summary>The response was sent.</summary>
    Success,

    /// <summary>The generation failed.</summary>
    Fail,

    /// <summary>The client was disconnected.</summary>
    Cancel,
}
