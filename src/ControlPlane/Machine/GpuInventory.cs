using System.Text.Json;
using Microsoft.Extensions.Logging;
using Sluice.Domain.Gpus;
using Sluice.Hosting;
using Sluice.Storage.Background;

namespace Sluice.ControlPlane.Machine;

/// <summary>
/// Holds the current GPUs, each with its node. It reads them at the start and then periodically, because GPUs fail and
/// MIG configurations change. A failed read keeps the previous inventory and sets its error.
/// </summary>
public sealed partial class GpuInventory(
    IGpuSource source, GpuInventoryOptions options, TimeProvider time, ILogger<GpuInventory> logger)
    : BackgroundLoop(time, logger)
{
    private readonly TimeProvider time = time;
    private readonly ILogger<GpuInventory> logger = logger;
    private readonly TaskCompletionSource loaded = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private volatile Inventory current = Inventory.None("the GPUs have not been read yet");
    private string? known;

    /// <summary>
    /// Raised when a GPU, slice or connection was added, removed or changed, except for memory and time in use.
    /// </summary>
    public event Action? Changed;

    public Inventory Current => current;

    /// <summary>Completes after the first read.</summary>
    public Task Loaded => loaded.Task;

    /// <summary>Time of the last read.</summary>
    public DateTimeOffset ReadAt { get; private set; }

    protected override async Task RunAsync(CancellationToken ct)
    {
        using var timer = SharedTicks.Every(source.ReadInterval, time);
        do await ReadAsync(ct);
        while (await timer.WaitForNextTickAsync(ct));
    }

    /// <summary>Reads the GPUs once.</summary>
    internal async Task ReadAsync(CancellationToken ct)
    {
        if ((await source.ReadAsync(ct))?.OnNode(options.Node) is not { } read) return;
        current = read.Error is null || !loaded.Task.IsCompleted ? read : current with { Error = read.Error };
        ReadAt = time.GetUtcNow();
        loaded.TrySetResult();
        var comparable = current with
        {
            Gpus = [.. current.Gpus.Select(g => g with { UsedMiB = null, Utilization = null })],
        };
        var now = JsonSerializer.Serialize(comparable);
        if (now == known) return;
        known = now;
        if (current.Error is { } error) GpuInventoryReadFailed(error);
        if (current.Gpus.Count > 0)
        {
            var slices = current.Gpus.Sum(g => g.Slices.Count);
            var faults = current.Gpus.Count(g => g.Fault is not null);
            GpuInventoryRead(current.Gpus.Count, slices, faults, current.Source);
        }

        Changed?.Invoke();
    }

    [LoggerMessage(LogLevel.Information,
        "GPU inventory read from {Source}: {Gpus} GPUs, {Slices} MIG slices, {Faults} GPUs with a fault")]
    private partial void GpuInventoryRead(int gpus, int slices, int faults, string source);

    [LoggerMessage(LogLevel.Information, "Reading the GPUs failed: {Error}")]
    private partial void GpuInventoryReadFailed(string error);
}
