namespace Sluice.Hosting;

/// <summary>
/// What a kind of host can do. Code outside of the host asks for a capability, never for the host's name. A capability
/// that depends on the host's settings is a property of <see cref="IPodHost"/> instead.
/// </summary>
public sealed record HostCapabilities
{
    /// <summary>Whether the host keeps workers without a model, for the next cold start.</summary>
    public bool StandbyWorkers { get; init; }

    /// <summary>Whether workers are containers: a template with a command needs an image.</summary>
    public bool Containers { get; init; }
}
