using System.Collections.Frozen;
using System.Globalization;
using System.Text.RegularExpressions;
using Microsoft.ML.OnnxRuntime;
using Sluice.Worker.Models;
using Sluice.Worker.Models.Inspection;
using Sluice.Worker.Runtime;
using Sluice.Worker.Tensors;

namespace Sluice.Worker.Serving;

/// <summary>Entry of the repository index for one version of a model.</summary>
/// <param name="Name">Name of the model.</param>
/// <param name="Version">Version of the model. Empty if no version was found.</param>
/// <param name="State">READY, LOADING, UNLOADING or UNAVAILABLE, as in Triton's index.</param>
/// <param name="Reason">Why the model is not ready.</param>
public sealed record ModelState(string Name, string Version, string State, string Reason);

/// <summary>
/// Finds models by name and version in <c>repository/name/version/model.onnx</c>. A folder <c>repository/name</c> with
/// a model as it is published, without versions (<see cref="ModelFolder"/>), is version 1. The table of served models
/// is immutable and is replaced as a whole. A running request keeps its model until it ends.
/// </summary>
/// <param name="folder">The repository folder.</param>
/// <param name="names">Models to serve. Empty: all models in the folder.</param>
/// <param name="policy">Selects the versions to serve.</param>
/// <param name="explicitControl">Requests load the models. Without names, no model is loaded at the start.</param>
/// <param name="load">Loads a file and warms the model up. Throws the exceptions that <see cref="IsLoadError"/>
/// accepts.</param>
public sealed partial class ModelRepository(string folder, IReadOnlyList<string> names, VersionPolicy policy,
    bool explicitControl, Func<string, string, string, LoadedModel> load) : IDisposable
{
    /// <summary>Largest number of models that an error message lists.</summary>
    private const int MaxListed = 20;

    private readonly SemaphoreSlim changes = new(1);
    private readonly Lock gate = new();
    private readonly Dictionary<string, ModelState> failed = [];
    private FrozenDictionary<string, SortedDictionary<int, LoadedModel>> served =
        FrozenDictionary<string, SortedDictionary<int, LoadedModel>>.Empty;

    /// <summary>All models, sorted by name, the newest version of each model first.</summary>
    public IEnumerable<LoadedModel> All =>
        served.OrderBy(m => m.Key, StringComparer.Ordinal).SelectMany(v => v.Value.Values.Reverse());

    public IReadOnlyCollection<string> Names => [.. served.Keys.Order(StringComparer.Ordinal)];

    /// <summary>
    /// Loads the models to serve. With explicit control and without names, it loads none. Throws with model, path and
    /// reason if a model fails to load.
    /// </summary>
    public void Load()
    {
        if (!Directory.Exists(folder))
            throw new InvalidOperationException(
                $"SLUICE_MODEL_REPOSITORY is '{folder}'; expected an existing model repository folder");
        foreach (var name in names.Count > 0 ? names : explicitControl ? [] : Found()) Swap(name, LoadVersions(name));
        if (served.Count == 0 && !explicitControl)
            throw new InvalidOperationException($"model repository {folder} contains no model");
    }

    /// <summary>
    /// Loads a model's versions again while the present ones serve, and then replaces the present ones.
    /// </summary>
    public async Task LoadAsync(string name, CancellationToken ct)
    {
        await changes.WaitAsync(ct);
        try
        {
            Swap(name, await Task.Run(() => LoadVersions(name), CancellationToken.None));
            lock (gate) failed.Remove(name);
        }
        catch (InvalidOperationException e)
        {
            lock (gate) failed[name] = new ModelState(name, "", "UNAVAILABLE", e.Message);
            throw new InvalidRequestException($"failed to load '{name}', {e.Message}");
        }
        finally
        {
            changes.Release();
        }
    }

    /// <summary>Stops serving a model. Running requests are not affected.</summary>
    public async Task UnloadAsync(string name, CancellationToken ct)
    {
        await changes.WaitAsync(ct);
        try
        {
            if (!served.ContainsKey(name))
                throw new InvalidRequestException(
                    $"failed to unload '{name}', Request for unknown model: '{name}' is not found", 404);
            Swap(name, null);
            lock (gate) failed[name] = new ModelState(name, "", "UNAVAILABLE", "unloaded");
        }
        finally
        {
            changes.Release();
        }
    }

    /// <summary>Returns all models in the repository with their states.</summary>
    public IReadOnlyList<ModelState> Index()
    {
        var now = served;
        var index = new List<ModelState>();
        foreach (var name in Found().Concat(now.Keys).Distinct().Order(StringComparer.Ordinal))
        {
            if (now.TryGetValue(name, out var versions))
                index.AddRange(versions.Keys.Select(v => v.ToString(CultureInfo.InvariantCulture))
                    .Select(v => new ModelState(name, v, "READY", "")));
            else
                lock (gate)
                    index.Add(failed.GetValueOrDefault(name) ?? new ModelState(name, "", "UNAVAILABLE", "not loaded"));
        }

        return index;
    }

    /// <summary>
    /// Returns a model: the given version, or the newest version if none is given. If the model is unknown, it throws
    /// an error with status 404 and Triton's error text.
    /// </summary>
    public LoadedModel Find(string name, string? version)
    {
        if (!served.TryGetValue(name, out var versions))
        {
            var known = string.Join(", ", Names.Take(MaxListed));
            throw new InvalidRequestException(
                $"Request for unknown model: '{name}' is not found (served: {known})", 404);
        }
        if (string.IsNullOrEmpty(version)) return versions.Last().Value;
        return int.TryParse(version, NumberStyles.None, CultureInfo.InvariantCulture, out var number)
            && versions.TryGetValue(number, out var model) ? model : throw new InvalidRequestException(
                $"Request for unknown model: '{name}' version {version} is not found "
                + $"(served: {string.Join(", ", versions.Keys)})", 404);
    }

    public IEnumerable<string> Versions(string name) => served[name].Values.Select(m => m.Version);

    /// <summary>
    /// Returns a text for each model that changes if one of its files changes. Used to poll the repository for changes.
    /// </summary>
    public IReadOnlyDictionary<string, string> ReadFingerprints() => Found().ToDictionary(n => n, Fingerprint);

    public void Dispose()
    {
        foreach (var model in All) model.Dispose();
        changes.Dispose();
    }

    private SortedDictionary<int, LoadedModel> LoadVersions(string name)
    {
        if (!Name().IsMatch(name))
            throw new InvalidOperationException($"model {name}: not a valid name (SLUICE_MODELS)");
        var available = VersionsOf(name);
        var versions = policy.Choose(available);
        if (versions.Count == 0 && available.Count > 0)
            throw new InvalidOperationException($"model {name}: SLUICE_MODEL_VERSIONS is "
                + $"'{string.Join(',', policy.Named)}'; expected one of {string.Join(", ", available.Order())}");
        if (versions.Count == 0 || PathOf(name, versions[^1]) is null)
            throw new InvalidOperationException($"model {name}: {MissingModel(name, versions)}");
        var loaded = new SortedDictionary<int, LoadedModel>();
        foreach (var version in versions)
        {
            var path = PathOf(name, version) ?? Path.Combine(FolderOf(name, version), "model.onnx");
            try
            {
                loaded[version] = load(name, version.ToString(CultureInfo.InvariantCulture), path);
            }
            catch (Exception e) when (IsLoadError(e))
            {
                foreach (var model in loaded.Values) model.Dispose();
                // The message of an inspection already contains the path.
                var message = e is UnsafeModelException
                    ? $"model {name}: {e.Message}"
                    : $"model {name} ({path}): {RunError.Clean(e.Message)}";
                throw new InvalidOperationException(message, e);
            }
        }

        return loaded;
    }

    /// <summary>Returns what is expected in the model's folder, and what it contains instead.</summary>
    private string MissingModel(string name, IReadOnlyList<int> versions)
    {
        var path = Path.Combine(folder, name);
        if (!Directory.Exists(path)) return $"the folder {path} does not exist; expected {path}/1/model.onnx";
        var newest = versions.Count == 0 ? path : FolderOf(name, versions[^1]);
        var entries = Directory.EnumerateFileSystemEntries(newest).Select(e => Path.GetFileName(e))
            .Order(StringComparer.Ordinal).Take(MaxListed).ToList();
        var expected = versions.Count == 0 ? "1/model.onnx (the version is a whole number)" : "model.onnx";
        return $"the folder {newest} has no {expected}; it contains "
            + (entries.Count == 0 ? "nothing" : string.Join(", ", entries));
    }

    private static bool IsLoadError(Exception e) =>
        e is Microsoft.ML.OnnxRuntime.OnnxRuntimeException or NotSupportedException or InvalidDataException
            or IOException or UnauthorizedAccessException or InvalidRequestException or UnsafeModelException;

    private void Swap(string name, SortedDictionary<int, LoadedModel>? versions)
    {
        var next = served.ToDictionary();
        next.Remove(name, out var old);
        if (versions is not null) next[name] = versions;
        served = next.ToFrozenDictionary();
        foreach (var model in old?.Values ?? Enumerable.Empty<LoadedModel>()) model.Dispose();
    }

    private string FolderOf(string name, int version) =>
        Path.Combine(folder, name, version.ToString(CultureInfo.InvariantCulture)) is var numbered
            && Directory.Exists(numbered) ? numbered : Path.Combine(folder, name);

    private string? PathOf(string name, int version) => ModelFolder.FindModel(FolderOf(name, version));

    private string Fingerprint(string name) => string.Join(';', policy.Choose(VersionsOf(name)).Select(v =>
        PathOf(name, v) is { } path
            ? $"{v}:" + string.Join(
                ",", ModelFolder.FilesOf(path).Select(f => $"{f.Length}:{f.LastWriteTimeUtc.Ticks}"))
            : $"{v}:-"));

    private IEnumerable<string> Found() => Directory.EnumerateDirectories(folder).Select(d => Path.GetFileName(d))
        .Where(n => Name().IsMatch(n) && VersionsOf(n).Count > 0).Order(StringComparer.Ordinal);

    private List<int> VersionsOf(string name)
    {
        var path = Path.Combine(folder, name);
        if (!Directory.Exists(path)) return [];
        var versions = Directory.EnumerateDirectories(path).Select(d => Path.GetFileName(d))
            .Where(n => Version().IsMatch(n)).Select(n => int.Parse(n, CultureInfo.InvariantCulture)).ToList();
        return versions.Count == 0 && ModelFolder.FindModel(path) is not null ? [1] : versions;
    }

    [GeneratedRegex("^[A-Za-z0-9][A-Za-z0-9._-]{0,127}\\z")]
    private static partial Regex Name();

    [GeneratedRegex("^[1-9][0-9]{0,8}\\z")]
    private static partial Regex Version();
}
