using System.Text.Json.Serialization;

namespace Sluice.Domain.Gpus;

/// <summary>
/// An immutable snapshot of the GPUs of one or several nodes, their connections, and the source of this information.
/// </summary>
public sealed record Inventory
{
    /// <summary>The GPUs by node and index.</summary>
    public IReadOnlyList<Gpu> Gpus { get; init; } = [];

    /// <summary>Connections of pairs of GPUs. The connection of a missing pair is unknown.</summary>
    public IReadOnlyList<GpuLink> Links { get; init; } = [];

    /// <summary>The source: <c>nvidia-smi</c>, or the path of a file.</summary>
    public string Source { get; init; } = "nvidia-smi";

    /// <summary>Why the last read failed, or why there are no GPUs; null if it succeeded.</summary>
    public string? Error { get; init; }

    /// <summary>Returns the same inventory, in which GPUs without the name of a node are on this one.</summary>
    public Inventory OnNode(string node) =>
        this with { Gpus = [.. Gpus.Select(g => g.Node.Length > 0 ? g : g with { Node = node })] };

    /// <summary>Returns the inventory of a machine without GPUs, and the reason.</summary>
    public static Inventory None(string why) => new() { Error = why };
}
