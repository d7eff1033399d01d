using System.Globalization;
using k8s.Models;
using Sluice.Domain.Declarations;

namespace Sluice.Hosting.Kubernetes;

/// <summary>Builds the volumes of a pod and where they are mounted. Pure.</summary>
internal static class PodVolumes
{
    /// <summary>Path of the model repository inside the pod.</summary>
    public const string ModelsInside = "/models";

    public const string CacheInside = "/cache";

    /// <summary>Size of <c>/dev/shm</c> without a volume: the default of containerd and Docker.</summary>
    private const long DefaultShm = 64L << 20;

    /// <summary>Builds the volumes.</summary>
    /// <exception cref="InvalidOperationException">The settings do not allow a mount of the template.</exception>
    public static (List<V1Volume> Volumes, List<V1VolumeMount> Mounts) Build(
        PodSpec order, KubernetesSettings settings, ModelVolume? model)
    {
        var (template, needs) = (order.Deployment.Template, order.Deployment.Template.Container);
        var volumes = new List<V1Volume> { InMemory("tmp", needs.TmpSize) };
        var mounts = new List<V1VolumeMount> { new() { MountPath = "/tmp", Name = "tmp" } };
        if (needs.ShmSize > DefaultShm)
        {
            volumes.Add(InMemory("shm", needs.ShmSize));
            mounts.Add(new V1VolumeMount { MountPath = "/dev/shm", Name = "shm" });
        }

        // A pod with a delivered model needs no other one.
        if (model is not null) Claim(model.Claim, "/model", readOnly: true);
        else if (settings.Models is { } models) Claim(models, ModelsInside, readOnly: true);
        if (HasCache(template, settings)) Claim(settings.Cache!, CacheInside, readOnly: false);
        for (var i = 0; i < needs.Mounts.Count; i++)
        {
            var mount = needs.Mounts[i];
            if (!settings.Mountable.Contains(mount.Source))
                throw new InvalidOperationException(
                    $"container.mounts[{i}].source of template {template.Name} is '{mount.Source}'; expected "
                    + (settings.Mountable.Count == 0 ? "no mounts, because SLUICE_KUBERNETES_MOUNTS is empty"
                        : $"a claim in SLUICE_KUBERNETES_MOUNTS: {string.Join(", ", settings.Mountable)}"));
            Claim(new ClaimPath(mount.Source), mount.Target, mount.ReadOnly);
        }

        return (volumes, mounts);

        void Claim(ClaimPath claim, string target, bool readOnly)
        {
            // One volume per claim, because a claim may be mounted at several paths.
            var name = volumes.Find(v => v.PersistentVolumeClaim?.ClaimName == claim.Claim)?.Name;
            if (name is null)
            {
                name = $"claim-{volumes.Count.ToString(CultureInfo.InvariantCulture)}";
                volumes.Add(new V1Volume
                {
                    Name = name,
                    PersistentVolumeClaim = new V1PersistentVolumeClaimVolumeSource { ClaimName = claim.Claim },
                });
            }

            mounts.Add(new V1VolumeMount
            {
                MountPath = target,
                Name = name,
                ReadOnlyProperty = readOnly,
                SubPath = claim.Path.Length > 0 ? claim.Path : null,
            });
        }
    }

    /// <summary>
    /// Whether the pod mounts the shared cache. Pods execute files that other pods wrote there, so only the built-in
    /// worker has access.
    /// </summary>
    public static bool HasCache(Template template, KubernetesSettings settings) =>
        settings.Cache is not null && template.IsBuiltIn;

    private static V1Volume InMemory(string name, long size) => new()
    {
        Name = name,
        EmptyDir = new V1EmptyDirVolumeSource
        {
            Medium = "Memory",
            SizeLimit = new ResourceQuantity(size.ToString(CultureInfo.InvariantCulture)),
        },
    };
}
