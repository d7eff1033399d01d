using System.Globalization;
using k8s.Models;
using Sluice.Domain.Declarations;

namespace Sluice.Hosting.Kubernetes;

/// <summary>Collects the volumes of a pod and where they are mounted.</summary>
internal sealed class PodVolumeList
{
    /// <summary>Size of <c>/dev/shm</c> without a volume: the default of containerd and Docker.</summary>
    private const long DefaultShm = 64L << 20;

    public List<V1Volume> Volumes { get; } = [];

    public List<V1VolumeMount> Mounts { get; } = [];

    /// <summary>Adds <c>/tmp</c> in memory.</summary>
    public void AddTmp(ContainerRequirements needs) => AddMemory("tmp", "/tmp", needs.TmpSize);

    /// <summary>Adds <c>/dev/shm</c>, if it is larger than that of each container.</summary>
    public void AddShm(ContainerRequirements needs)
    {
        if (needs.ShmSize > DefaultShm) AddMemory("shm", "/dev/shm", needs.ShmSize);
    }

    /// <summary>Adds a folder of a claim. A claim may be mounted at several paths, so it has one volume.</summary>
    public void AddClaim(ClaimPath claim, string target, bool readOnly)
    {
        var name = Volumes.Find(v => v.PersistentVolumeClaim?.ClaimName == claim.Claim)?.Name;
        if (name is null)
        {
            name = $"claim-{Volumes.Count.ToString(CultureInfo.InvariantCulture)}";
            Volumes.Add(new V1Volume
            {
                Name = name,
                PersistentVolumeClaim = new V1PersistentVolumeClaimVolumeSource { ClaimName = claim.Claim },
            });
        }

        Mounts.Add(new V1VolumeMount
        {
            MountPath = target,
            Name = name,
            ReadOnlyProperty = readOnly,
            SubPath = claim.Path.Length > 0 ? claim.Path : null,
        });
    }

    /// <summary>
    /// Adds the mounts of a template or a pod. Returns why one of them is not allowed; null: all are.
    /// </summary>
    public string? AddMounts(IReadOnlyList<ContainerMount> mounts, KubernetesSettings settings, string of = "")
    {
        for (var i = 0; i < mounts.Count; i++)
        {
            var mount = mounts[i];
            if (!settings.Mountable.Contains(mount.Source))
                return $"container.mounts[{i}].source{of} is '{mount.Source}'; expected "
                    + (settings.Mountable.Count == 0 ? "no mounts, because SLUICE_KUBERNETES_MOUNTS is empty"
                        : $"a claim in SLUICE_KUBERNETES_MOUNTS: {string.Join(", ", settings.Mountable)}");
            AddClaim(new ClaimPath(mount.Source), mount.Target, mount.ReadOnly);
        }

        return null;
    }

    private void AddMemory(string name, string path, long size)
    {
        Volumes.Add(new V1Volume
        {
            Name = name,
            EmptyDir = new V1EmptyDirVolumeSource { Medium = "Memory", SizeLimit = PodParts.Quantity($"{size}") },
        });
        Mounts.Add(new V1VolumeMount { MountPath = path, Name = name });
    }
}
