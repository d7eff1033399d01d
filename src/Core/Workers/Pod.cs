using System.Text.Json.Serialization;
using Sluice.Core.Gpus;

namespace Sluice.Core.Workers;

/// <summary>
/// A pod's life. starting → ready → draining → stopping → gone; a pod that ends by itself is failed and stays in the
/// list, with its last words, until a later one is ready.
/// </summary>
public enum PodState
{
    /// <summary>Its process was started and does not answer ready yet.</summary>
    Starting,

    /// <summary>It takes requests.</summary>
    Ready,

    /// <summary>It takes no new requests and finishes those it has.</summary>
    Draining,

    /// <summary>It was told to exit.</summary>
    Stopping,

    /// <summary>It exited by itself, or never became ready.</summary>
    Failed,
}

/// <summary>One stage of a cold start.</summary>
public sealed record StartStage(string Name, double Ms);

/// <summary>A running (or failed) instance of a template, as everyone may see it.</summary>
public sealed record Pod
{
    public required string Id { get; init; }

    public required string EndpointId { get; init; }

    public required string Template { get; init; }

    /// <summary>Which gateway's host runs it.</summary>
    public required string HostId { get; init; }

    public required PodState State { get; init; }

    /// <summary>What it was started from; another fingerprint than the endpoint's present one: outdated.</summary>
    public required string Fingerprint { get; init; }

    public required DateTimeOffset StartedAt { get; init; }

    public DateTimeOffset? ReadyAt { get; init; }

    /// <summary>Where its cold start's time went, in ms; <c>placed</c> is from the order until its host was asked, <c>pull</c>,
    /// <c>create</c>, <c>start</c> are a container's, <c>spawn</c> is what else the host adds, the others are the worker's own.</summary>
    public IReadOnlyList<StartStage> Stages { get; init; } = [];

    /// <summary>Why it is in this state, in words.</summary>
    public string Reason { get; init; } = "";

    /// <summary>The last lines of a failed pod; those of one that runs are stored apart (<see cref="PodStore.OutputsAsync"/>).</summary>
    public IReadOnlyList<string> LastOutput { get; init; } = [];

    public int? ProcessId { get; init; }

    /// <summary>What it is for an operator of its host: <c>process 4711</c>, <c>container 0f1e2d3c4b5a</c>.</summary>
    public string RunsAs { get; init; } = "";

    /// <summary>UUIDs of the GPUs and MIG slices that it was given.</summary>
    public IReadOnlyList<string> Devices { get; init; } = [];

    /// <summary>Its process' <see cref="ProcessMark"/>; null when it has none that others could look for.</summary>
    public string? Mark { get; init; }

    /// <summary>Its part of its device's memory, MiB; null: all of it, alone.</summary>
    public long? ShareMiB { get; init; }

    /// <summary>What it has of this machine's GPUs.</summary>
    internal GpuHolding Holding => new(Id, EndpointId, [.. Devices.Select(d => new HeldDevice(d, ShareMiB))]);
}

/// <summary>Who runs pods: this machine's own name, kept over restarts.</summary>
public sealed record HostId(string Value);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, UseStringEnumConverter = true)]
[JsonSerializable(typeof(Pod))]
[JsonSerializable(typeof(HostReport))]
[JsonSerializable(typeof(string[]))]
[JsonSerializable(typeof(Dictionary<string, string>))]
internal sealed partial class PodJson : JsonSerializerContext;
