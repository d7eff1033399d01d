using System.Text.Json.Serialization;

namespace Sluice.Core.Workers.Docker;

/// <summary>What the daemon tells of a container, as far as it is used here.</summary>
/// <param name="Id">Its own.</param>
/// <param name="Image">Id of the image it was made from, whatever that is called now.</param>
/// <param name="State">How it is.</param>
/// <param name="Config">What it was made from.</param>
/// <param name="NetworkSettings">Where it is reached.</param>
public sealed record ContainerInfo(string Id, string? Image, ContainerState State, ContainerConfig Config, ContainerNetworks NetworkSettings);

/// <summary>How a container is. <c>Status</c>: created, running, paused, restarting, removing, exited or dead.</summary>
public sealed record ContainerState(string Status, bool Running, int ExitCode, [property: JsonPropertyName("OOMKilled")] bool OomKilled, string? Error);

/// <summary>What it was made from.</summary>
public sealed record ContainerConfig(IReadOnlyList<string>? Env, IReadOnlyDictionary<string, string>? Labels);

/// <summary>Where it is reached.</summary>
public sealed record ContainerNetworks(IReadOnlyDictionary<string, ContainerNetwork>? Networks,
    IReadOnlyDictionary<string, IReadOnlyList<PublishedPort>?>? Ports);

/// <summary>Its place on one network; no address unless it runs.</summary>
public sealed record ContainerNetwork([property: JsonPropertyName("IPAddress")] string? IpAddress);

/// <summary>A port of the daemon's machine that leads to one of its own.</summary>
public sealed record PublishedPort(string? HostIp, string? HostPort);

/// <summary>A container in a list.</summary>
public sealed record ContainerSummary(string Id, string State, IReadOnlyDictionary<string, string>? Labels);

[JsonSerializable(typeof(ContainerInfo))]
[JsonSerializable(typeof(ContainerSummary[]))]
internal sealed partial class EngineJson : JsonSerializerContext;
