using System.Text.Json.Serialization;
using Sluice.Domain.Declarations;
using Sluice.Domain.Gpus;

namespace Sluice.Domain.Nodes;

/// <summary>A machine on which a gateway starts workers, as the gateway announces it to the leader.</summary>
public sealed record FleetNode
{
    /// <summary>The id of the gateway's host, which starts the workers.</summary>
    public required string HostId { get; init; }

    /// <summary>The name of the machine. Several gateways may announce one machine.</summary>
    public required string Name { get; init; }

    /// <summary>The kind of the host: <c>process</c> or <c>docker</c>.</summary>
    public string HostKind { get; init; } = "process";

    /// <summary>
    /// The address at which other gateways reach its workers; null: they do not, and only this gateway, as the leader,
    /// starts workers here.
    /// </summary>
    public string? Address { get; init; }

    /// <summary>The processors of the machine.</summary>
    public int Cpus { get; init; } = 1;

    /// <summary>Whether its workers are containers. Otherwise they are processes, without images.</summary>
    public bool RunsContainers { get; init; }

    /// <summary>Its GPUs.</summary>
    public Inventory Gpus { get; init; } = new();

    /// <summary>The workers that run or start on it.</summary>
    [JsonIgnore]
    public int Workers { get; init; }

    /// <summary>Whether the leader on another machine may start workers here.</summary>
    [JsonIgnore]
    public bool IsOffered => Address is not null;

    /// <summary>
    /// Whether its host starts workers of a template. A container has an image, and a process has none.
    /// </summary>
    public bool CanRun(Template template) => template.IsBuiltIn || RunsContainers == (template.Image.Length > 0);
}
