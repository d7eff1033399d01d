namespace Sluice.Worker.Models;

/// <summary>
/// Which texts share the keys and values of tokens with which they begin. A caller could find out by the time to the
/// first token whether another caller sent the same text, so the default does not share between keys.
/// </summary>
public enum PrefixCache
{
    /// <summary>Texts of the same API key share.</summary>
    Key,

    /// <summary>All texts share.</summary>
    Shared,

    /// <summary>No text shares.</summary>
    Off,
}
