namespace Sluice.ControlPlane.Nodes;

/// <summary>What a gateway announces about its machine.</summary>
/// <param name="Name">The name of the machine.</param>
/// <param name="HostKind">The name of the host: <c>process</c> or <c>docker</c>.</param>
/// <param name="RunsContainers">Whether the host's workers are containers.</param>
/// <param name="Address">
/// The address at which other gateways reach the workers of this machine; null: they do not.
/// </param>
public sealed record NodeSettings(
    string Name,
    string HostKind = "process",
    bool RunsContainers = false,
    string? Address = null)
{
    /// <summary>The processors of the machine.</summary>
    public int Cpus { get; init; } = Environment.ProcessorCount;
}
