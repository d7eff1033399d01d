namespace Sluice.Domain.UserPods;

/// <summary>
/// What the host of a running pod measures. The processor time only has a meaning beside another reading.
/// </summary>
/// <param name="At">The time of the measurement.</param>
/// <param name="CpuTime">Processor time that the pod has used since its start; null: unknown.</param>
/// <param name="CpuLimit">Processors that the pod may use; null: unknown.</param>
/// <param name="Memory">Bytes of memory in use, without files that the kernel only caches; null: unknown.</param>
/// <param name="MemoryLimit">Bytes of memory that the pod may use; null: unknown.</param>
public sealed record UserPodReading(
    DateTimeOffset At, TimeSpan? CpuTime, double? CpuLimit, long? Memory, long? MemoryLimit);
