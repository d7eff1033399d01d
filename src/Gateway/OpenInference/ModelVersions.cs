using System.Globalization;
using Sluice.Domain.Declarations;
using Sluice.Hosting.Processes;

namespace Sluice.Gateway.OpenInference;

/// <summary>
/// Determines the model versions that a worker serves from the model repository, without starting a worker. Null means
/// unknown: the endpoint does not use the built-in worker, this gateway cannot read the repository, or settings select
/// the versions.
/// </summary>
public sealed class ModelVersions(BuiltInWorker worker)
{
    /// <summary>
    /// The worker setting that selects the served versions. By default a worker serves the newest version.
    /// </summary>
    private const string Setting = "SLUICE_MODEL_VERSIONS";

    /// <summary>Returns the newest version. Null: unknown.</summary>
    public int? Newest(Deployment deployment, string model) =>
        Folder(deployment, model) is { } folder && !IsSet(deployment) ? ReadVersions(folder).Cast<int?>().Max() : null;

    /// <summary>Returns whether a version is served. Null: unknown.</summary>
    public bool? Serves(Deployment deployment, string model, string version)
    {
        if (Folder(deployment, model) is not { } folder) return null;
        if (!int.TryParse(version, NumberStyles.None, CultureInfo.InvariantCulture, out var number)
            || !ReadVersions(folder).Contains(number)) return false;
        return IsSet(deployment) ? null : ReadVersions(folder).Max() == number;
    }

    private static bool IsSet(Deployment deployment) =>
        deployment.Endpoint.Env.ContainsKey(Setting) || deployment.Template.Env.ContainsKey(Setting);

    private string? Folder(Deployment deployment, string model)
    {
        if (!deployment.Template.IsBuiltIn || !deployment.Endpoint.ServedModels.Contains(model)) return null;
        var folder = Path.Combine(worker.ModelRepository, model);
        return Directory.Exists(folder) ? folder : null;
    }

    private static List<int> ReadVersions(string folder) =>
        [.. Directory.EnumerateDirectories(folder).Select(d => Path.GetFileName(d))
        .Select(n => int.TryParse(n, NumberStyles.None, CultureInfo.InvariantCulture, out var number)
        && number > 0 ? number : 0).Where(n => n > 0)];
}
