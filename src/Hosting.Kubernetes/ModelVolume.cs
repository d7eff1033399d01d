using Sluice.Models.Cache;

namespace Sluice.Hosting.Kubernetes;

/// <summary>How a pod sees the delivered model of its endpoint.</summary>
/// <param name="Claim">The folder of the claim, which is mounted at <c>/model</c>.</param>
/// <param name="Repository">The model repository inside the pod.</param>
/// <param name="Path">The folder of the model inside the pod.</param>
internal sealed record ModelVolume(ClaimPath Claim, string Repository, string Path)
{
    /// <summary>Returns the volume of a model in the store. Pure.</summary>
    /// <param name="lease">The lease of the model.</param>
    /// <param name="store">The claim that holds the store.</param>
    public static ModelVolume Of(ModelLease lease, ClaimPath store) =>
        new(store.Within(lease.Entry), $"/model/{lease.RepositoryInEntry}", "/model/files");
}
