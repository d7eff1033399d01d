using System.Globalization;
using System.Text.RegularExpressions;
using Sluice.Worker.Runtime;

namespace Sluice.Worker.Models;

/// <summary>Models by name and version from <c>repository/name/version/model.onnx</c>.</summary>
public sealed partial class ModelRepository(string folder, IReadOnlyList<string> names, ExecutionProviders providers)
    : IDisposable
{
    private readonly SortedDictionary<string, SortedDictionary<int, LoadedModel>> models = new(StringComparer.Ordinal);

    /// <summary>All models, newest versions first.</summary>
    public IEnumerable<LoadedModel> All => models.Values.SelectMany(v => v.Values.Reverse());

    public IReadOnlyCollection<string> Names => models.Keys;

    /// <summary>What the models run on, and what was skipped.</summary>
    public ExecutionProviders Providers => providers;

    /// <summary>Loads the highest version of each model; throws with model, path and reason when one cannot load.</summary>
    public void Load()
    {
        if (!Directory.Exists(folder))
            throw new InvalidOperationException($"model repository {folder}: no such folder (SLUICE_MODEL_REPOSITORY)");
        foreach (var name in names.Count > 0 ? names : Found())
        {
            if (!Name().IsMatch(name)) throw new InvalidOperationException($"model {name}: not a valid name (SLUICE_MODELS)");
            var version = VersionsOf(name).DefaultIfEmpty(0).Max();
            var path = Path.Combine(folder, name, version.ToString(CultureInfo.InvariantCulture), "model.onnx");
            if (version == 0 || !File.Exists(path))
                throw new InvalidOperationException($"model {name}: no {Path.Combine(folder, name)}/VERSION/model.onnx");
            try
            {
                models[name] = new() { [version] = new LoadedModel(name, $"{version}", path, providers) };
            }
            catch (Exception e) when (e is Microsoft.ML.OnnxRuntime.OnnxRuntimeException or NotSupportedException)
            {
                throw new InvalidOperationException($"model {name} ({path}): {e.Message}", e);
            }
        }

        if (models.Count == 0) throw new InvalidOperationException($"model repository {folder} holds no model");
    }

    /// <summary>The model, its newest version unless one is named; throws 404 in Triton's words.</summary>
    public LoadedModel Find(string name, string? version)
    {
        if (!models.TryGetValue(name, out var versions))
            throw new InvalidRequestException($"Request for unknown model: '{name}' is not found", 404);
        if (version is null) return versions.Last().Value;
        return int.TryParse(version, NumberStyles.None, CultureInfo.InvariantCulture, out var number)
            && versions.TryGetValue(number, out var model) ? model : throw new InvalidRequestException(
                $"Request for unknown model: '{name}' version {version} is not found "
                + $"(served: {string.Join(", ", versions.Keys)})", 404);
    }

    public IEnumerable<string> Versions(string name) => models[name].Values.Select(m => m.Version);

    public void Dispose()
    {
        foreach (var model in All) model.Dispose();
    }

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

    [GeneratedRegex("^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")]
    private static partial Regex Name();

    [GeneratedRegex("^[1-9][0-9]{0,8}$")]
    private static partial Regex Version();
}
