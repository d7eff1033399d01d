using Microsoft.Extensions.Logging;
using Sluice.Models.Downloads;

namespace Sluice.Models.Cache;

/// <summary>Deletes models that no worker uses when the store or its disk has no room for another one.</summary>
internal sealed partial class StoreEviction(StoreLayout layout, ModelStoreSettings settings, ILogger logger)
{
    /// <summary>
    /// Bytes that stay free on the disk: other programs, and the state of the gateway, may be on the same one.
    /// </summary>
    private const long Reserve = 1 << 20;

    private readonly ILogger logger = logger;

    /// <summary>Makes room for a model.</summary>
    /// <param name="key">The key of the model.</param>
    /// <param name="bytes">Its size.</param>
    /// <param name="onDisk">The part of it that is on disk already.</param>
    /// <exception cref="ModelFailureException">The models in use leave no room for it.</exception>
    public void MakeRoom(string key, long bytes, long onDisk)
    {
        if (bytes == 0) return;
        while (true)
        {
            var entries = layout.List(except: key);
            // The disk must take what is not there yet; the limit counts all of it.
            var free = layout.FreeBytes - Reserve + onDisk;
            if (EvictionPlan.Choose(entries, bytes, settings.MaxBytes, free) is not { } chosen)
                throw NoRoom(bytes, entries);
            if (chosen.Count == 0) return;
            // An entry that came into use since then is planned again, as one in use.
            foreach (var victim in chosen) Evict(victim);
        }
    }

    /// <summary>Deletes the least recently used model that no worker uses. Returns false if there is none.</summary>
    public bool EvictOne(string key) => layout.List(except: key).Where(e => !e.InUse)
        .OrderBy(e => e.UsedAt).ThenBy(e => e.Key).Any(e => Evict(e.Key));

    /// <summary>Returns the failure of a disk that is full although nothing else can be deleted.</summary>
    public ModelFailureException DiskFull(Exception inner) => new(
        $"the disk of SLUICE_MODEL_STORE ({layout.Root}) is full: {DownloadProgress.Size(layout.FreeBytes)} free, and "
        + "workers use all other models. What was received is deleted. Free space there, then the next start "
        + "downloads it again", inner) { IsDiskFull = true };

    private ModelFailureException NoRoom(long bytes, IReadOnlyList<StoreEntry> entries)
    {
        var used = entries.Where(e => e.InUse).Sum(e => e.Bytes);
        return new ModelFailureException(
            $"it needs {DownloadProgress.Size(bytes)} in SLUICE_MODEL_STORE ({layout.Root}); expected at most "
            + $"{DownloadProgress.Size(Math.Max(0, Math.Min(settings.MaxBytes - used, layout.FreeBytes - Reserve)))}: "
            + $"the limit is {DownloadProgress.Size(settings.MaxBytes)} (SLUICE_MODEL_STORE_MIB), workers use "
            + $"{DownloadProgress.Size(used)}, and {DownloadProgress.Size(layout.FreeBytes)} of the disk are free")
        {
            IsDiskFull = true,
        };
    }

    private bool Evict(string key)
    {
        var source = layout.Read(key)?.Source ?? "an incomplete download";
        if (!layout.TryDelete(key)) return false;
        ModelEvicted(source, key);
        return true;
    }

    [LoggerMessage(LogLevel.Information, "Model {Source} deleted from the store ({Key}), to make room")]
    private partial void ModelEvicted(string source, string key);
}
