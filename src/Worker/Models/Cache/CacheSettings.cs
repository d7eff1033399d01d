using System.Globalization;
using System.Runtime.InteropServices;

namespace Sluice.Worker.Models.Cache;

/// <summary>Where optimised copies of models are kept, how many, and of which models.</summary>
public sealed partial record CacheSettings
{
    /// <summary>Changes when the layout of the folder or of a manifest does: older entries are then left alone. 2: an entry was run before it was kept.</summary>
    public const int Format = 2;

    /// <summary>The folder of this user and format within SLUICE_MODEL_CACHE; null: there is no cache.</summary>
    public string? Folder { get; init; }

    /// <summary>Bytes of all entries together; the least recently used goes first. 20 GiB.</summary>
    public long MaxBytes { get; init; } = 20L << 30;

    /// <summary>Smaller models get no copy. Measured (loadtests/results/2026-11-21-model-cache.md): below 8 MiB a load takes milliseconds
    /// either way, and most of them are ONNX Runtime's own start.</summary>
    public long MinModelBytes { get; init; } = 8L << 20;

    /// <summary>How long after a load the copy is begun: the requests that the start was for come first.</summary>
    public TimeSpan Delay { get; init; } = TimeSpan.FromSeconds(15);

    /// <summary>Reads SLUICE_MODEL_CACHE (empty: no cache) and SLUICE_MODEL_CACHE_BYTES; throws with name, value and what is expected.</summary>
    public static CacheSettings Read(Func<string, string?> env)
    {
        var defaults = new CacheSettings();
        var folder = env("SLUICE_MODEL_CACHE") ?? Path.Combine(
            WorkerSettings.Text(env, "XDG_CACHE_HOME")
            ?? (WorkerSettings.Text(env, "HOME") is { } home ? Path.Combine(home, ".cache") : Path.GetTempPath()), "sluice", "models");
        return new CacheSettings
        {
            Folder = folder.Length == 0 ? null : Below(folder),
            MaxBytes = WorkerSettings.Number(env, "SLUICE_MODEL_CACHE_BYTES", 0, 1L << 50) ?? defaults.MaxBytes,
        };
    }

    /// <summary>Each user has a folder of its own: weights are loaded without a look inside, so nobody else may write them.</summary>
    public static string Below(string folder) =>
        Path.Combine(Path.GetFullPath(folder), string.Create(CultureInfo.InvariantCulture, $"v{Format}-user{UserId()}"));

    [LibraryImport("libc", EntryPoint = "geteuid")]
    internal static partial uint UserId();
}
