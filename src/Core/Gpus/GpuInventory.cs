using System.Text.Json;
using Microsoft.Extensions.Logging;

namespace Sluice.Core.Gpus;

/// <summary>Where this machine's inventory comes from.</summary>
/// <param name="File">A file that was written by hand; null: nvidia-smi.</param>
public sealed record GpuInventoryOptions(string? File);

/// <summary>
/// This machine's GPUs as they are now: read at the start, and again and again, for GPUs fail and are cut anew. A reading that fails leaves what was
/// known, and says why.
/// </summary>
public sealed partial class GpuInventory(GpuInventoryOptions options, TimeProvider time, ILogger<GpuInventory> logger) : BackgroundLoop(time, logger)
{
    /// <summary>nvidia-smi takes part of a second of CPU time.</summary>
    private static readonly TimeSpan EveryReading = TimeSpan.FromSeconds(30);

    private static readonly TimeSpan EveryLookAtFile = TimeSpan.FromSeconds(1);

    private readonly TimeProvider time = time;
    private readonly ILogger<GpuInventory> logger = logger;
    private readonly NvidiaSmi smi = new("nvidia-smi", time);
    private readonly TaskCompletionSource loaded = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private volatile Inventory current = Inventory.None("the GPUs were not read yet");
    private string? text;
    private string? known;

    /// <summary>Raised when a GPU, slice or connection came, went or changed; not for the memory in use.</summary>
    public event Action? Changed;

    public Inventory Current => current;

    /// <summary>Ends with the first reading.</summary>
    public Task Loaded => loaded.Task;

    /// <summary>When it was read last.</summary>
    public DateTimeOffset ReadAt { get; private set; }

    protected override async Task RunAsync(CancellationToken ct)
    {
        using var timer = new PeriodicTimer(options.File is null ? EveryReading : EveryLookAtFile, time);
        do await ReadAsync(ct);
        while (await timer.WaitForNextTickAsync(ct));
    }

    /// <summary>One reading.</summary>
    internal async Task ReadAsync(CancellationToken ct)
    {
        var read = options.File is null ? await smi.ReadAsync(ct) : await ReadFileAsync(options.File, ct);
        if (read is null) return;
        current = read.Error is null || !loaded.Task.IsCompleted ? read : current with { Error = read.Error };
        ReadAt = time.GetUtcNow();
        loaded.TrySetResult();
        var now = JsonSerializer.Serialize(current with { Gpus = [.. current.Gpus.Select(g => g with { UsedMiB = null })] });
        if (now == known) return;
        known = now;
        if (current.Error is { } error) CannotRead(error);
        if (current.Gpus.Count > 0) Found(current.Gpus.Count, current.Gpus.Sum(g => g.Slices.Count), current.Gpus.Count(g => g.Fault is not null), current.Source);
        Changed?.Invoke();
    }

    /// <summary>Null: the file is the same.</summary>
    private async Task<Inventory?> ReadFileAsync(string file, CancellationToken ct)
    {
        string said;
        try
        {
            said = await File.ReadAllTextAsync(file, ct);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return Inventory.None($"SLUICE_GPU_INVENTORY: {e.Message}");
        }

        if (said == text) return null;
        text = said;
        var (inventory, errors) = InventoryFile.Parse(said, file);
        return inventory ?? Inventory.None($"SLUICE_GPU_INVENTORY: {file}: {string.Join("; ", errors)}");
    }

    [LoggerMessage(LogLevel.Information, "{Gpus} GPUs ({Slices} MIG slices, {Faults} with a fault) by {Source}")]
    private partial void Found(int gpus, int slices, int faults, string source);

    [LoggerMessage(LogLevel.Information, "GPUs cannot be read: {Error}")]
    private partial void CannotRead(string error);
}
