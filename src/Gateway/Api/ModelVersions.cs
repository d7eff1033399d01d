using System.Globalization;
using Sluice.Core.Endpoints;
using Sluice.Core.Workers;

namespace Sluice.Gateway.Api;

/// <summary>
/// Which versions of a model a worker would serve, read from the model repository, so that no worker has to start. Null means unknown: the endpoint does
/// not use the built-in worker, this gateway cannot read the repository, or settings name the versions.
/// </summary>
public sealed class ModelVersions(BuiltInWorker worker)
{
    /// <summary>The worker's setting of the versions that it serves; by default the newest one.</summary>
    private const string Setting = "SLUICE_MODEL_VERSIONS";

    /// <summary>The newest version; null: unknown.</summary>
    public int? Newest(Deployment deployment, string model) =>
        Folder(deployment, model) is { } folder && !IsSet(deployment) ? Numbers(folder).Cast<int?>().Max() : null;

    /// <summary>Whether the version is served; null: unknown.</summary>
    public bool? Serves(Deployment deployment, string model, string version)
    {
        if (Folder(deployment, model) is not { } folder) return null;
        if (!int.TryParse(version, NumberStyles.None, CultureInfo.InvariantCulture, out var number) || !Numbers(folder).Contains(number)) return false;
        return IsSet(deployment) ? null : Numbers(folder).Max() == number;
    }

    private static bool IsSet(Deployment deployment) => deployment.Endpoint.Env.ContainsKey(Setting) || deployment.Template.Env.ContainsKey(Setting);

    private string? Folder(Deployment deployment, string model)
    {
        if (!deployment.Template.IsBuiltIn || !deployment.Endpoint.ServedModels.Contains(model)) return null;
        var folder = Path.Combine(worker.ModelRepository, model);
        return Directory.Exists(folder) ? folder : null;
    }

    private static List<int> Numbers(string folder) => [.. Directory.EnumerateDirectories(folder).Select(d => Path.GetFileName(d))
        .Select(n => int.TryParse(n, NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number > 0 ? number : 0).Where(n => n > 0)];
}
