using Sluice.Domain.Declarations;
using Sluice.Models.Cache;

namespace Sluice.Hosting.Docker;

/// <summary>How a container sees the delivered model of its endpoint.</summary>
/// <param name="Source">The folder of the daemon's machine, or the volume.</param>
/// <param name="Target">Where it is mounted.</param>
/// <param name="Repository">The model repository inside the container.</param>
/// <param name="Path">The folder of the model inside the container.</param>
public sealed record ModelMount(string Source, string Target, string Repository, string Path)
{
    private const string EntryInside = "/model", StoreInside = "/model-store", ModelsInside = "/models";

    /// <summary>Returns the mount of a model in the store. Pure.</summary>
    /// <param name="lease">The lease of the model.</param>
    /// <param name="store">The store as the daemon sees it: a folder, or the name of a volume.</param>
    public static ModelMount Of(ModelLease lease, string store)
    {
        // A part of a volume can only be mounted by daemons of 2024 and later, so all of it is.
        var (source, target, within) = store.StartsWith('/')
            ? (System.IO.Path.Combine(store, lease.Entry), EntryInside, EntryInside)
            : (store, StoreInside, $"{StoreInside}/{lease.Entry}");
        return new ModelMount(source, target, $"{within}/{lease.RepositoryInEntry}", $"{within}/files");
    }

    /// <summary>
    /// Returns the mount of a folder of the daemon's machine; null: the source of the endpoint is not a folder. Pure.
    /// </summary>
    /// <exception cref="InvalidOperationException">The settings do not allow to mount the folder.</exception>
    public static ModelMount? OfFolder(Endpoint endpoint, DockerSettings settings)
    {
        if (endpoint.Model is not { } model
            || ModelSource.Parse(model.Source) is not { Kind: ModelSourceKind.Folder } source) return null;
        if (!settings.Mountable.Any(m => m.TrimEnd('/') == source.Location))
            throw new InvalidOperationException($"model.source of endpoint {endpoint.Id} is '{source.Location}'; "
                + "expected a folder in SLUICE_DOCKER_MOUNTS");
        var inside = $"{ModelsInside}/{endpoint.ServedModels[0]}";
        return new ModelMount(source.Location, inside, ModelsInside, inside);
    }
}
