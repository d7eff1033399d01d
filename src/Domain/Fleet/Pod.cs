using System.Text.Json.Serialization;
using Sluice.Domain.Gpus;
using Sluice.Domain.Placement;

namespace Sluice.Domain.Fleet;

/// <summary>A running or failed instance of a template, as stored in Redis for all gateways.</summary>
public sealed record Pod
{
    public required string Id { get; init; }

    public required string EndpointId { get; init; }

    public required string Template { get; init; }

    /// <summary>The id of the host that runs it.</summary>
    public required string HostId { get; init; }

    public required PodState State { get; init; }

    /// <summary>
    /// The fingerprint of the declaration that it was started from. A pod whose fingerprint differs from the endpoint's
    /// current one is outdated.
    /// </summary>
    public required string Fingerprint { get; init; }

    public required DateTimeOffset StartedAt { get; init; }

    public DateTimeOffset? ReadyAt { get; init; }

    /// <summary>
    /// The stages of its cold start, in ms: <c>placed</c> is from the order until the call to its host; <c>pull</c>,
    /// <c>create</c> and <c>start</c> are those of a container; <c>spawn</c> is the host's remaining time; the worker
    /// reports all others.
    /// </summary>
    public IReadOnlyList<StartStage> Stages { get; init; } = [];

    /// <summary>How many tokens it can hold, as it reported when it became ready; null: it did not say.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public TokenCapacity? Cache { get; init; }

    /// <summary>The reason for its state, as a text for operators.</summary>
    public string Reason { get; init; } = "";

    /// <summary>The download of its model; null: it has none, or the download is complete.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public ModelTransfer? Download { get; init; }

    /// <summary>
    /// The last output lines of a failed pod. Those of a running pod are stored separately
    /// (<c>PodStore.OutputsAsync</c>).
    /// </summary>
    public IReadOnlyList<string> LastOutput { get; init; } = [];

    public int? ProcessId { get; init; }

    /// <summary>Its name on its host, for operators: <c>process 4711</c>, <c>container 0f1e2d3c4b5a</c>.</summary>
    public string RunsAs { get; init; } = "";

    /// <summary>UUIDs of the GPUs and MIG slices that are assigned to it.</summary>
    public IReadOnlyList<string> Devices { get; init; } = [];

    /// <summary>
    /// The GPUs and MIG slices that it reported when it was ready; empty: it did not say. On Kubernetes they are the
    /// actual devices, which <see cref="Devices"/> only counts.
    /// </summary>
    public IReadOnlyList<ReportedDevice> ReportedDevices { get; init; } = [];

    /// <summary>
    /// Their type and number, as usage is counted: <c>H100</c>, <c>2xH100</c>, <c>0.5xL4</c>; empty: it has none.
    /// </summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public string? Gpu { get; init; }

    /// <summary>
    /// The node of these devices, or the node that another gateway's leader chose; null: there is none, or an earlier
    /// build stored the record.
    /// </summary>
    public string? Node { get; init; }

    /// <summary>
    /// The epoch of the leader that ordered it on the host of another gateway, until that host takes the order; 0: no
    /// order is open.
    /// </summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public long OrderedIn { get; init; }

    /// <summary>Whether its host has not taken the order yet.</summary>
    [JsonIgnore]
    public bool IsOrdered => OrderedIn > 0;

    /// <summary>
    /// The <c>ProcessIdentity</c> of its process; null if it has none that other gateways can check.
    /// </summary>
    public string? Mark { get; init; }

    /// <summary>Its share of its device's memory, MiB; null: the whole device is its own.</summary>
    public long? ShareMiB { get; init; }

    /// <summary>The devices that it holds.</summary>
    public GpuAllocation Holding =>
        new(Id, EndpointId, [.. Devices.Select(d => new HeldDevice(d, ShareMiB))]) { Node = Node };
}
