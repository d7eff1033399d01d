namespace Sluice.Storage.Keys;

/// <summary>The permissions of a key.</summary>
public sealed record KeyScope
{
    /// <summary>Whether the key may use everything: management, metrics and every endpoint.</summary>
    public bool Admin { get; init; }

    /// <summary>The IDs of the endpoints that the key may invoke; <c>*</c> means all.</summary>
    public IReadOnlyList<string> Invoke { get; init; } = [];

    public bool MayInvoke(string endpointId) => Admin || Invoke.Contains("*") || Invoke.Contains(endpointId);

    /// <summary>Whether the key may see which endpoints exist.</summary>
    public bool SeesAll => Admin || Invoke.Contains("*");
}
