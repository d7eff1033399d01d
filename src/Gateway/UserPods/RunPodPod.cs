using System.Text.Json.Serialization;
using Sluice.Domain.UserPods;
using Sluice.Storage.UserPods;

namespace Sluice.Gateway.UserPods;

/// <summary>
/// A pod in the form of RunPod's API v2 (OpenAPI document <c>api-reference-v2/openapi.json</c>, schema <c>Pod</c>).
/// Fields of things that Sluice has not (clouds, data centers, registries) have their empty value.
/// </summary>
public sealed record RunPodPod
{
    /// <summary>Bytes of the sizes in this API.</summary>
    internal const long Gigabyte = 1_000_000_000;

    public required string Id { get; init; }

    public required string Name { get; init; }

    public required string Status { get; init; }

    public required IReadOnlyList<string> Actions { get; init; }

    public required string Image { get; init; }

    public required string Args { get; init; }

    /// <summary>Size of the container's own files in GB; 0: no limit.</summary>
    public required long Disk { get; init; }

    public required RunPodMounts Mounts { get; init; }

    public required IReadOnlyList<string> Ports { get; init; }

    public required IReadOnlyDictionary<string, string> Env { get; init; }

    public string? Registry => null;

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public RunPodGpu? Gpu { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public RunPodCpu? Cpu { get; init; }

    public string Cloud => "SECURE";

    public string? DataCenterId => null;

    public string? CudaVersion => null;

    public required RunPodSsh Ssh { get; init; }

    public required string? Template { get; init; }

    /// <summary>
    /// Cost per hour in the currency of the prices; 0: it holds nothing, or no price is known. RunPod's clients expect
    /// a number (its OpenAPI document, schema Pod).
    /// </summary>
    public required double Cost { get; init; }

    public required bool Locked { get; init; }

    public RunPodNetworking GlobalNetworking { get; } = new(false);

    public required RunPodRuntime? Runtime { get; init; }

    public required DateTimeOffset CreatedAt { get; init; }

    public required DateTimeOffset? StartedAt { get; init; }

    internal static RunPodPod From(UserPodEntry entry, HostString host, UserPodFigures figures)
    {
        var (pod, state, _) = entry;
        var (spec, status) = (pod.Spec, UserPodActions.StatusOf(pod, state));
        var started = state.IsUp ? state.StartedAt : null;
        var ssh = state.Addresses.FirstOrDefault(a => a.Port == 22)?.Public;
        return new RunPodPod
        {
            Id = pod.Id,
            Name = spec.Name,
            Status = status.ToString().ToUpperInvariant(),
            Actions = UserPodActions.ValidFor(pod, state),
            Image = spec.Image,
            Args = ShellWords.Join(spec.Args),
            Disk = spec.Disk / Gigabyte,
            Mounts = new RunPodMounts(
                spec.Volume is { } volume ? new RunPodVolume(volume.Size / Gigabyte, volume.Path) : null),
            Ports = spec.Ports,
            Env = spec.Env,
            Gpu = spec.Gpu is { } gpu ? new RunPodGpu(gpu.Types is [var type, ..] ? type : "", gpu.Count) : null,
            Cpu = spec.Gpu is null
                ? new RunPodCpu("cpu", (int)Math.Ceiling(spec.Container.Cpus), spec.Container.Memory / Gigabyte) : null,
            Ssh = new RunPodSsh(null, ssh is { } port ? RunPodSshEndpoint.Create(host.Host, port) : null),
            Template = spec.Template.Length > 0 ? spec.Template : null,
            Cost = figures.CostOf(entry) ?? 0,
            Locked = pod.Locked,
            Runtime = status == UserPodStatus.Running ? RuntimeOf(entry, host, figures) : null,
            CreatedAt = pod.CreatedAt,
            StartedAt = started,
        };
    }

    private static RunPodRuntime RuntimeOf(UserPodEntry entry, HostString host, UserPodFigures figures)
    {
        var used = figures.UtilizationOf(entry);
        var gpus = entry.State.Devices.Count == 0 ? []
            : used?.Gpus?.Select(g => new RunPodGpuUtilization(g.Percent, g.MemoryPercent)).ToList();
        return new RunPodRuntime(
            (long)(figures.Now - (entry.State.StartedAt ?? figures.Now)).TotalSeconds,
            gpus,
            used?.CpuPercent is { } cpu ? new RunPodUtilization(cpu) : null,
            used?.MemoryPercent is { } memory ? new RunPodUtilization(memory) : null,
            PortsOf(entry, host));
    }

    private static List<RunPodPort> PortsOf(UserPodEntry entry, HostString host) =>
    [
        .. entry.Pod.Spec.OpenPorts.Select(p =>
        {
            var published = entry.State.Addresses.FirstOrDefault(a => a.Port == p.Number)?.Public;
            return new RunPodPort(
                p.Number, published, p.IsHttp ? "http" : "tcp", published is null ? null : host.Host);
        }),
    ];
}

/// <summary>The volume of a pod.</summary>
public sealed record RunPodMounts(
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] RunPodVolume? Persistent);

/// <summary>A volume. <paramref name="Size"/> is in GB.</summary>
public sealed record RunPodVolume(long Size, string Path);

/// <summary>The GPUs of a pod.</summary>
public sealed record RunPodGpu(string Id, int Count);

/// <summary>The processor of a pod without GPUs. <paramref name="Memory"/> is in GB; 0: no limit.</summary>
public sealed record RunPodCpu(string Id, int VcpuCount, long Memory);

/// <summary>How SSH reaches the pod: Sluice has no SSH proxy.</summary>
public sealed record RunPodSsh(RunPodSshEndpoint? Proxy, RunPodSshEndpoint? Direct);

/// <summary>An address of sshd in a pod.</summary>
public sealed record RunPodSshEndpoint(string Host, int Port, string Username, string Command)
{
    internal static RunPodSshEndpoint Create(string host, int port) =>
        new(host, port, "root", $"ssh root@{host} -p {port}");
}

/// <summary>Whether the pod has an address that is reachable from other machines.</summary>
public sealed record RunPodNetworking(bool Enabled);

/// <summary>
/// The live state of a running pod. <paramref name="Uptime"/> is in seconds. A field without a source is left out:
/// these fields are optional in RunPod's schema, and never null.
/// </summary>
public sealed record RunPodRuntime(
    long Uptime,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] IReadOnlyList<RunPodGpuUtilization>? Gpus,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] RunPodUtilization? Cpu,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] RunPodUtilization? Memory,
    IReadOnlyList<RunPodPort> Ports);

/// <summary>A share of what the pod may use, percent.</summary>
public sealed record RunPodUtilization(int Util);

/// <summary>The utilization of a GPU and of its memory, percent.</summary>
public sealed record RunPodGpuUtilization(
    int Util, [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] int? MemoryUtil);

/// <summary>A port of a running pod.</summary>
public sealed record RunPodPort(int Private, int? Public, string Type, string? Ip);

/// <summary>A list of pods.</summary>
public sealed record RunPodPodList(IReadOnlyList<RunPodPod> Pods);
