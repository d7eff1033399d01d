using System.Text.Json.Serialization;

namespace Sluice.Hosting.Docker;

/// <summary>The fields of the Engine API's container inspection that Sluice uses.</summary>
/// <param name="Id">The container's id.</param>
/// <param name="Image">
/// The id of the image that the container was created from, even if its tag has moved since.
/// </param>
/// <param name="State">The container's state.</param>
/// <param name="Config">The configuration that the container was created with.</param>
/// <param name="NetworkSettings">The container's addresses and published ports.</param>
public sealed record ContainerInfo(
    string Id,
    string? Image,
    ContainerState State,
    ContainerConfig Config,
    ContainerNetworks NetworkSettings);

/// <summary>
/// The state of a container. <c>Status</c>: created, running, paused, restarting, removing, exited or dead.
/// </summary>
public sealed record ContainerState(
    string Status,
    bool Running,
    int ExitCode,
    [property: JsonPropertyName("OOMKilled")] bool OomKilled,
    string? Error)
{
    /// <summary>When it began to run last; the year 1: never.</summary>
    public DateTimeOffset StartedAt { get; init; }

    /// <summary>When it exited last; the year 1: never.</summary>
    public DateTimeOffset FinishedAt { get; init; }
}

/// <summary>The configuration that a container was created with.</summary>
public sealed record ContainerConfig(IReadOnlyList<string>? Env, IReadOnlyDictionary<string, string>? Labels);

/// <summary>The networks that a container is attached to, and its published ports.</summary>
public sealed record ContainerNetworks(IReadOnlyDictionary<string, ContainerNetwork>? Networks,
    IReadOnlyDictionary<string, IReadOnlyList<PublishedPort>?>? Ports);

/// <summary>A container's address on one network; null unless the container runs.</summary>
public sealed record ContainerNetwork([property: JsonPropertyName("IPAddress")] string? IpAddress);

/// <summary>A port of the daemon's machine that forwards to a port of the container.</summary>
public sealed record PublishedPort(string? HostIp, string? HostPort);

/// <summary>One entry of the Engine API's container list.</summary>
public sealed record ContainerSummary(string Id, string State, IReadOnlyDictionary<string, string>? Labels);

[JsonSerializable(typeof(ContainerInfo))]
[JsonSerializable(typeof(ContainerSummary[]))]
[JsonSerializable(typeof(ContainerStats))]
internal sealed partial class EngineJson : JsonSerializerContext;
