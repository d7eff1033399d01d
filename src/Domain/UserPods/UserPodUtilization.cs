using Sluice.Domain.Gpus;

namespace Sluice.Domain.UserPods;

/// <summary>What a running pod uses, as its host measured it. Unknown values are null.</summary>
public sealed record UserPodUtilization
{
    /// <summary>After this time, a measurement does not describe the present.</summary>
    public static readonly TimeSpan MaxAge = TimeSpan.FromSeconds(30);

    /// <summary>The time of the measurement.</summary>
    public required DateTimeOffset At { get; init; }

    /// <summary>Processors in use, the mean since the previous measurement: 1.5 is one and a half.</summary>
    public double? Cpus { get; init; }

    /// <summary>Processors that the pod may use.</summary>
    public double? CpuLimit { get; init; }

    /// <summary>Share of the limit in use, percent.</summary>
    public int? CpuPercent { get; init; }

    /// <summary>Bytes of memory in use.</summary>
    public long? Memory { get; init; }

    /// <summary>Bytes of memory that the pod may use.</summary>
    public long? MemoryLimit { get; init; }

    /// <summary>Share of the limit in use, percent.</summary>
    public int? MemoryPercent { get; init; }

    /// <summary>The devices of the pod, in their order; null: no source for one of them.</summary>
    public IReadOnlyList<UserPodGpuUtilization>? Gpus { get; init; }

    /// <summary>Whether the measurement describes the present.</summary>
    public bool IsCurrent(DateTimeOffset now) => now - At <= MaxAge;

    /// <summary>Computes what a pod uses. Pure. Null: nothing is known.</summary>
    /// <param name="before">The previous reading; null: there is none.</param>
    /// <param name="reading">The reading; null: the host has none.</param>
    /// <param name="devices">UUIDs of the pod's devices.</param>
    /// <param name="gpus">The GPUs of its node.</param>
    /// <param name="now">The current time.</param>
    public static UserPodUtilization? Compute(UserPodReading? before, UserPodReading? reading,
        IReadOnlyList<string> devices, IReadOnlyList<Gpu> gpus, DateTimeOffset now)
    {
        var used = FindGpus(devices, gpus);
        if (reading is null && (used is null || devices.Count == 0)) return null;
        var cpus = CpusBetween(before, reading);
        return new UserPodUtilization
        {
            At = now,
            Cpus = cpus,
            CpuLimit = reading?.CpuLimit,
            CpuPercent = Percent(cpus, reading?.CpuLimit),
            Memory = reading?.Memory,
            MemoryLimit = reading?.MemoryLimit,
            MemoryPercent = Percent(reading?.Memory, reading?.MemoryLimit),
            Gpus = used,
        };
    }

    /// <summary>
    /// Returns the mean number of processors in use between two readings. Null: unknown. A processor time that
    /// decreases is that of another start, or of a process whose end its parent did not see.
    /// </summary>
    private static double? CpusBetween(UserPodReading? before, UserPodReading? reading)
    {
        if (before?.CpuTime is not { } from || reading?.CpuTime is not { } to) return null;
        if (reading.At <= before.At || to < from) return null;
        return Math.Round((to - from) / (reading.At - before.At), 3);
    }

    private static List<UserPodGpuUtilization>? FindGpus(IReadOnlyList<string> devices, IReadOnlyList<Gpu> gpus)
    {
        var found = devices.Select(d => gpus.FirstOrDefault(g => g.Uuid == d)).ToList();
        // nvidia-smi does not report the utilization of a MIG slice.
        if (found.Any(g => g?.Utilization is null)) return null;
        return
        [
            .. found.Select(g => new UserPodGpuUtilization(g!.Utilization!.Value, Percent(g.UsedMiB, g.MemoryMiB))),
        ];
    }

    private static int? Percent(double? part, double? whole) =>
        part is { } used && whole is > 0 ? (int)Math.Clamp(Math.Round(100 * used / whole.Value), 0, 100) : null;
}

/// <summary>What all programs use of a device of a pod: other pods may share it.</summary>
/// <param name="Percent">Share of the time in which the device computed, percent.</param>
/// <param name="MemoryPercent">Share of its memory in use, percent; null: unknown.</param>
public sealed record UserPodGpuUtilization(int Percent, int? MemoryPercent);
