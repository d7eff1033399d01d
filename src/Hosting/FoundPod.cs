namespace Sluice.Hosting;

/// <summary>A pod that a host found running.</summary>
/// <param name="PodId">The pod's id.</param>
/// <param name="OrderedBy">The id of the gateway's host that ordered it. Another one may have adopted it since.</param>
/// <param name="CreatedAt">When it was created; null: the host does not say.</param>
public readonly record struct FoundPod(string PodId, string OrderedBy, DateTimeOffset? CreatedAt = null);
