using System.Collections.Frozen;
using System.Globalization;
using System.Text.RegularExpressions;
using Sluice.Worker.Models.Inspection;
using Sluice.Worker.Runtime;

namespace Sluice.Worker.Models;

/// <summary>What the index tells of a model's version.</summary>
/// <param name="Name">The model.</param>
/// <param name="Version">Its version; empty when no version could be found.</param>
/// <param name="State">READY, LOADING, UNLOADING or UNAVAILABLE, as Triton's index has them.</param>
/// <param name="Reason">Why it is not ready.</param>
public sealed record ModelState(string Name, string Version, string State, string Reason);

/// <summary>
/// Models by name and version from <c>repository/name/version/model.onnx</c>. What is served is one immutable table, replaced as a whole:
/// requests in flight keep the model that they found until they end.
/// </summary>
/// <param name="folder">The repository.</param>
/// <param name="names">Models to serve; empty: all that are there.</param>
/// <param name="policy">Which versions.</param>
/// <param name="explicitControl">Models are loaded by requests: without names none is loaded at the start.</param>
/// <param name="load">Makes a model of a file, warm; throws what <see cref="IsLoadError"/> tells.</param>
public sealed partial class ModelRepository(string folder, IReadOnlyList<string> names, VersionPolicy policy,
    bool explicitControl, Func<string, string, string, LoadedModel> load) : IDisposable
{
    /// <summary>Models that an error lists.</summary>
    private const int MaxListed = 20;

    private readonly SemaphoreSlim changes = new(1);
    private readonly Lock gate = new();
    private readonly Dictionary<string, ModelState> failed = [];
    private FrozenDictionary<string, SortedDictionary<int, LoadedModel>> served = FrozenDictionary<string, SortedDictionary<int, LoadedModel>>.Empty;

    /// <summary>All models, newest versions first.</summary>
    public IEnumerable<LoadedModel> All => served.OrderBy(m => m.Key, StringComparer.Ordinal).SelectMany(v => v.Value.Values.Reverse());

    public IReadOnlyCollection<string> Names => [.. served.Keys.Order(StringComparer.Ordinal)];

    /// <summary>Loads what is to be served, nothing where models are loaded by requests and none is named; throws with model, path and reason when
    /// one cannot load.</summary>
    public void Load()
    {
        if (!Directory.Exists(folder))
            throw new InvalidOperationException($"model repository {folder}: no such folder (SLUICE_MODEL_REPOSITORY)");
        foreach (var name in names.Count > 0 ? names : explicitControl ? [] : Found()) Swap(name, LoadVersions(name));
        if (served.Count == 0 && !explicitControl) throw new InvalidOperationException($"model repository {folder} holds no model");
    }

    /// <summary>Loads a model's versions anew, beside those that serve, and then takes their place.</summary>
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

    /// <summary>Serves a model no more; requests in flight end as they would have.</summary>
    public async Task UnloadAsync(string name, CancellationToken ct)
    {
        await changes.WaitAsync(ct);
        try
        {
            if (!served.ContainsKey(name)) throw new InvalidRequestException($"failed to unload '{name}', Request for unknown model: '{name}' is not found", 404);
            Swap(name, null);
            lock (gate) failed[name] = new ModelState(name, "", "UNAVAILABLE", "unloaded");
        }
        finally
        {
            changes.Release();
        }
    }

    /// <summary>What is there, and what of it is served.</summary>
    public IReadOnlyList<ModelState> Index()
    {
        var now = served;
        var index = new List<ModelState>();
        foreach (var name in Found().Concat(now.Keys).Distinct().Order(StringComparer.Ordinal))
        {
            if (now.TryGetValue(name, out var versions))
                index.AddRange(versions.Keys.Select(v => new ModelState(name, v.ToString(CultureInfo.InvariantCulture), "READY", "")));
            else
                lock (gate) index.Add(failed.GetValueOrDefault(name) ?? new ModelState(name, "", "UNAVAILABLE", "not loaded"));
        }

        return index;
    }

    /// <summary>The model, its newest version unless one is named; throws 404 in Triton's words.</summary>
    public LoadedModel Find(string name, string? version)
    {
        if (!served.TryGetValue(name, out var versions))
            throw new InvalidRequestException($"Request for unknown model: '{name}' is not found (served: {string.Join(", ", Names.Take(MaxListed))})", 404);
        if (string.IsNullOrEmpty(version)) return versions.Last().Value;
        return int.TryParse(version, NumberStyles.None, CultureInfo.InvariantCulture, out var number)
            && versions.TryGetValue(number, out var model) ? model : throw new InvalidRequestException(
                $"Request for unknown model: '{name}' version {version} is not found "
                + $"(served: {string.Join(", ", versions.Keys)})", 404);
    }

    public IEnumerable<string> Versions(string name) => served[name].Values.Select(m => m.Version);

    /// <summary>What the files of a model look like: another text when one of them changed. For who polls.</summary>
    public IReadOnlyDictionary<string, string> Look() => Found().ToDictionary(n => n, n => string.Join(';', policy.Choose(VersionsOf(n)).Select(v =>
        new FileInfo(PathOf(n, v)) is { Exists: true } f ? $"{v}:{f.Length}:{f.LastWriteTimeUtc.Ticks}" : $"{v}:-")));

    public void Dispose()
    {
        foreach (var model in All) model.Dispose();
        changes.Dispose();
    }

    private SortedDictionary<int, LoadedModel> LoadVersions(string name)
    {
        if (!Name().IsMatch(name)) throw new InvalidOperationException($"model {name}: not a valid name (SLUICE_MODELS)");
        var versions = policy.Choose(VersionsOf(name));
        if (versions.Count == 0 || !File.Exists(PathOf(name, versions[^1])))
            throw new InvalidOperationException($"model {name}: no {Path.Combine(folder, name)}/VERSION/model.onnx");
        var loaded = new SortedDictionary<int, LoadedModel>();
        foreach (var version in versions)
        {
            var path = PathOf(name, version);
            try
            {
                loaded[version] = load(name, version.ToString(CultureInfo.InvariantCulture), path);
            }
            catch (Exception e) when (IsLoadError(e))
            {
                foreach (var model in loaded.Values) model.Dispose();
                // An inspection names the file itself.
                throw new InvalidOperationException(e is UnsafeModelException ? $"model {name}: {e.Message}" : $"model {name} ({path}): {RunError.Clean(e.Message)}", e);
            }
        }

        return loaded;
    }

    private static bool IsLoadError(Exception e) =>
        e is Microsoft.ML.OnnxRuntime.OnnxRuntimeException or NotSupportedException or InvalidDataException or IOException or UnauthorizedAccessException
            or InvalidRequestException or UnsafeModelException;

    private void Swap(string name, SortedDictionary<int, LoadedModel>? versions)
    {
        var next = served.ToDictionary();
        next.Remove(name, out var old);
        if (versions is not null) next[name] = versions;
        served = next.ToFrozenDictionary();
        foreach (var model in old?.Values ?? Enumerable.Empty<LoadedModel>()) model.Dispose();
    }

    private string PathOf(string name, int version) => Path.Combine(folder, name, version.ToString(CultureInfo.InvariantCulture), "model.onnx");

    private IEnumerable<string> Found() => Directory.EnumerateDirectories(folder).Select(d => Path.GetFileName(d))
        .Where(n => Name().IsMatch(n) && VersionsOf(n).Any()).Order(StringComparer.Ordinal);

    private IEnumerable<int> VersionsOf(string name)
    {
        var path = Path.Combine(folder, name);
        if (!Directory.Exists(path)) yield break;
        foreach (var version in Directory.EnumerateDirectories(path))
            if (Version().IsMatch(Path.GetFileName(version)))
                yield return int.Parse(Path.GetFileName(version), CultureInfo.InvariantCulture);
    }

    [GeneratedRegex("^[A-Za-z0-9][A-Za-z0-9._-]{0,127}\\z")]
    private static partial Regex Name();

    [GeneratedRegex("^[1-9][0-9]{0,8}\\z")]
    private static partial Regex Version();
}
