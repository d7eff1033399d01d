using Sluice.Domain.Gpus;

namespace Sluice.Hosting;

/// <summary>Reads the GPUs that can be assigned to pods, of one node or of several.</summary>
public interface IGpuSource
{
    /// <summary>Interval between two reads.</summary>
    TimeSpan ReadInterval { get; }

    /// <summary>
    /// Reads the GPUs. Returns null if nothing has changed since the last read. A failure is returned in <see
    /// cref="Inventory.Error"/>. Throws only if <paramref name="ct"/> is cancelled.
    /// </summary>
    Task<Inventory?> ReadAsync(CancellationToken ct);
}
