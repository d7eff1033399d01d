using System.Text.Json.Nodes;
using Sluice.Domain.Declarations;
using Sluice.Domain.UserPods;
using Sluice.Storage.UserPods;

namespace Sluice.Gateway.UserPods;

/// <summary>A pod in Sluice's own API.</summary>
/// <param name="Id">The id.</param>
/// <param name="Status">PROVISIONING, STARTING, RUNNING, EXITED, ERROR or TERMINATED.</param>
/// <param name="Reason">Why it has this status or waits; empty: there is nothing to say.</param>
/// <param name="Actions">The actions that are valid now.</param>
/// <param name="Spec">What was requested, with the fields of the template.</param>
/// <param name="Owner">The id of the API key that created it.</param>
/// <param name="Node">The node that it is assigned to; null: none yet.</param>
/// <param name="Devices">UUIDs of its GPUs or MIG slices.</param>
/// <param name="Ports">How its ports are reached.</param>
/// <param name="CreatedAt">When it was created.</param>
/// <param name="StartedAt">When its container began to run; null: it does not run.</param>
/// <param name="LastActiveAt">Its last known activity; null: its idle time has no limit, or none is known.</param>
/// <param name="IdleStopAt">When it is stopped if it stays idle; null: never.</param>
/// <param name="StopAt">When it is stopped in any case; null: never.</param>
/// <param name="TerminateAt">When it is terminated; null: never.</param>
/// <param name="CostPerHour">What an hour costs now; 0: it holds nothing; null: there is no price for it.</param>
/// <param name="Currency">The currency of the cost; null: there are no prices.</param>
/// <param name="Utilization">What it uses; null: it does not run, or its host has no source.</param>
/// <param name="Locked">Whether stop, restart and terminate are refused.</param>
public sealed record UserPodView(
    string Id,
    string Status,
    string Reason,
    IReadOnlyList<string> Actions,
    JsonObject Spec,
    string Owner,
    string? Node,
    IReadOnlyList<string> Devices,
    IReadOnlyList<UserPodPortView> Ports,
    DateTimeOffset CreatedAt,
    DateTimeOffset? StartedAt,
    DateTimeOffset? LastActiveAt,
    DateTimeOffset? IdleStopAt,
    DateTimeOffset? StopAt,
    DateTimeOffset? TerminateAt,
    double? CostPerHour,
    string? Currency,
    UserPodUtilization? Utilization,
    bool Locked)
{
    internal static UserPodView From(
        UserPodEntry entry, DateTimeOffset? activeAt, UserPodFigures figures, UserPodRouting routing, HostString host)
    {
        var (pod, state, node) = entry;
        var stops = UserPodDeadlines.IdleStopAt(pod, state, activeAt);
        var started = state.IsUp ? state.StartedAt : null;
        var byDuration = pod.Spec.StopAfter > TimeSpan.Zero && started is { } at ? at + pod.Spec.StopAfter
            : (DateTimeOffset?)null;
        return new UserPodView(
            pod.Id,
            UserPodActions.StatusOf(pod, state).ToString().ToUpperInvariant(),
            state.Reason,
            UserPodActions.ValidFor(pod, state),
            UserPodMerge.FieldsOf(pod.Spec),
            pod.Owner,
            node,
            state.Devices,
            [.. pod.Spec.OpenPorts.Select(p => View(p, pod, state, routing, host))],
            pod.CreatedAt,
            started,
            stops is null ? null : activeAt,
            stops,
            pod.Goal != UserPodGoal.Running ? null : pod.StopAt < byDuration ? pod.StopAt : byDuration ?? pod.StopAt,
            pod.TerminateAt,
            figures.CostOf(entry),
            figures.Currency,
            figures.UtilizationOf(entry),
            pod.Locked);
    }

    private static UserPodPortView View(
        PodPort port, UserPod pod, UserPodState state, UserPodRouting routing, HostString host) => new(
            port.Number,
            port.IsHttp ? "http" : "tcp",
            port.IsHttp ? routing.UrlOf(pod.Id, port.Number, host) : null,
            state.Addresses.FirstOrDefault(a => a.Port == port.Number)?.Public);
}

/// <summary>A port of a pod.</summary>
/// <param name="Port">The port inside the container.</param>
/// <param name="Kind"><c>http</c> or <c>tcp</c>.</param>
/// <param name="Url">The URL of an HTTP port. It opens with an API key, or after a link.</param>
/// <param name="Public">The port of the pod's machine, of a TCP port that runs.</param>
public sealed record UserPodPortView(int Port, string Kind, string? Url, int? Public);

/// <summary>A list of pods.</summary>
public sealed record UserPodList(IReadOnlyList<UserPodView> Pods);
