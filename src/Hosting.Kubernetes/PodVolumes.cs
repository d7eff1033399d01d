using k8s.Models;
using Sluice.Domain.Declarations;

namespace Sluice.Hosting.Kubernetes;

/// <summary>Builds the volumes of a worker's pod and where they are mounted. Pure.</summary>
internal static class PodVolumes
{
    /// <summary>Path of the model repository inside the pod.</summary>
    public const string ModelsInside = "/models";

    public const string CacheInside = "/cache";

    /// <summary>Builds the volumes.</summary>
    /// <exception cref="InvalidOperationException">The settings do not allow a mount of the template.</exception>
    public static (List<V1Volume> Volumes, List<V1VolumeMount> Mounts) Build(
        PodSpec order, KubernetesSettings settings, ModelVolume? model)
    {
        var (template, needs) = (order.Deployment.Template, order.Deployment.Template.Container);
        var list = new PodVolumeList();
        list.AddTmp(needs);
        list.AddShm(needs);
        // A pod with a delivered model needs no other one.
        if (model is not null) list.AddClaim(model.Claim, "/model", readOnly: true);
        else if (settings.Models is { } models) list.AddClaim(models, ModelsInside, readOnly: true);
        if (HasCache(template, settings)) list.AddClaim(settings.Cache!, CacheInside, readOnly: false);
        return list.AddMounts(needs.Mounts, settings, $" of template {template.Name}") is { } refused
            ? throw new InvalidOperationException(refused) : (list.Volumes, list.Mounts);
    }

    /// <summary>
    /// Whether the pod mounts the shared cache. Pods execute files that other pods wrote there, so only the built-in
    /// worker has access.
    /// </summary>
    public static bool HasCache(Template template, KubernetesSettings settings) =>
        settings.Cache is not null && template.IsBuiltIn;
}
