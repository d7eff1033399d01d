using System.Globalization;
using System.Runtime.InteropServices;

namespace Sluice.Worker.Configuration;

/// <summary>
/// Settings of the model cache: its folder, its size limit, and the models that get an optimized copy.
/// </summary>
public sealed partial record CacheSettings
{
    /// <summary>
    /// Version of the layout of the folder and of the manifest. Entries of an older version are not used and not
    /// deleted. Version 2: an entry is run before it is kept.
    /// </summary>
    public const int Format = 2;

    /// <summary>The folder of this user and format within SLUICE_MODEL_CACHE. Null: there is no cache.</summary>
    public string? Folder { get; init; }

    /// <summary>
    /// Largest size of all entries together, in bytes. The least recently used entry is deleted first. Default 20 GiB.
    /// </summary>
    public long MaxBytes { get; init; } = 20L << 30;

    /// <summary>
    /// Smallest model, in bytes, that gets a copy. Measured (loadtests/results/2026-11-21-model-cache.md): below 8
    /// MiB a load takes milliseconds with and without a copy, and most of that time is the start of ONNX Runtime.
    /// </summary>
    public long MinModelBytes { get; init; } = 8L << 20;

    /// <summary>
    /// Time between a load and the making of its copy. The requests that caused the start have priority.
    /// </summary>
    public TimeSpan Delay { get; init; } = TimeSpan.FromSeconds(15);

    /// <summary>
    /// Reads SLUICE_MODEL_CACHE (empty: no cache) and SLUICE_MODEL_CACHE_BYTES. Throws with name, value and rule if a
    /// value is invalid.
    /// </summary>
    public static CacheSettings Read(Func<string, string?> env)
    {
        var defaults = new CacheSettings();
        var folder = env("SLUICE_MODEL_CACHE") ?? Path.Combine(
            WorkerSettings.Text(env, "XDG_CACHE_HOME")
            ?? (WorkerSettings.Text(env, "HOME") is { } home ? Path.Combine(home, ".cache") : Path.GetTempPath()),
            "sluice",
            "models");
        return new CacheSettings
        {
            Folder = folder.Length == 0 ? null : Below(folder),
            MaxBytes = WorkerSettings.Number(env, "SLUICE_MODEL_CACHE_BYTES", 0, 1L << 50) ?? defaults.MaxBytes,
        };
    }

    /// <summary>
    /// Returns the user's own folder. Weights are loaded without inspection, so no other user can have write access.
    /// </summary>
    public static string Below(string folder)
    {
        var name = string.Create(CultureInfo.InvariantCulture, $"v{Format}-user{UserId()}");
        return Path.Combine(Path.GetFullPath(folder), name);
    }

    [LibraryImport("libc", EntryPoint = "geteuid")]
    internal static partial uint UserId();
}
