using System.Text.Json.Serialization;
using Sluice.Domain.UserPods;

namespace Sluice.Hosting.Docker;

/// <summary>The fields of the Engine API's statistics of a container that Sluice uses.</summary>
/// <param name="Read">The time of the measurement; the year 1: the container does not run.</param>
/// <param name="Cpu">The processor.</param>
/// <param name="Memory">The memory; empty if the kernel does not count it.</param>
public sealed record ContainerStats(
    [property: JsonPropertyName("read")] DateTimeOffset Read,
    [property: JsonPropertyName("cpu_stats")] ContainerCpuStats? Cpu,
    [property: JsonPropertyName("memory_stats")] ContainerMemoryStats? Memory)
{
    /// <summary>
    /// Names of the file cache that the kernel frees first, with cgroup v2 and v1. Docker's own <c>docker stats</c>
    /// does not count it as memory in use.
    /// </summary>
    private static readonly string[] CacheNames = ["inactive_file", "total_inactive_file"];

    /// <summary>Converts the statistics; null: the container does not run.</summary>
    /// <param name="cpus">Processors that the container may use; 0: all of its machine.</param>
    public UserPodReading? ToReading(double cpus)
    {
        if (Read.Year <= 1 || Cpu?.Usage is not { } usage) return null;
        var cache = CacheNames.Select(n => Memory?.Stats?.GetValueOrDefault(n) ?? 0).FirstOrDefault(c => c > 0);
        var used = Memory?.Usage is { } all ? (long)(all > cache ? all - cache : all) : (long?)null;
        // Docker counts nanoseconds; a tick has 100 of them.
        return new UserPodReading(Read, TimeSpan.FromTicks((long)(usage.Total / 100)),
            cpus > 0 ? cpus : Cpu.Online, used,
            Memory?.Limit is { } limit ? (long)Math.Min(limit, long.MaxValue) : null);
    }
}

/// <summary>The processor of a container.</summary>
public sealed record ContainerCpuStats(
    [property: JsonPropertyName("cpu_usage")] ContainerCpuUsage? Usage,
    [property: JsonPropertyName("online_cpus")] int? Online);

/// <summary>Processor time since the start of a container, in nanoseconds.</summary>
public sealed record ContainerCpuUsage([property: JsonPropertyName("total_usage")] ulong Total);

/// <summary>The memory of a container, in bytes.</summary>
public sealed record ContainerMemoryStats(
    [property: JsonPropertyName("usage")] ulong? Usage,
    [property: JsonPropertyName("limit")] ulong? Limit,
    [property: JsonPropertyName("stats")] IReadOnlyDictionary<string, ulong>? Stats);
