using System.Text.Json;
using System.Text.Json.Nodes;
using Sluice.Domain.UserPods;
using Sluice.Gateway.Audit;

namespace Sluice.Gateway.UserPods;

/// <summary>What a request changed about a pod, for the audit log.</summary>
internal static class UserPodAudit
{
    /// <summary>Sets the details of a request that was not refused.</summary>
    public static void Set(HttpContext context, UserPodResult result)
    {
        if (result.Entry is not { Pod: var pod }) return;
        AuditDetails.Set(context, result.Before is { Pod: var before } ? View(before) : null, View(pod),
            $"/api/v1/pods/{pod.Id}");
    }

    /// <summary>The secret of the pod is not part of it.</summary>
    private static JsonObject View(UserPod pod) => new()
    {
        ["spec"] = JsonSerializer.SerializeToNode(pod.Spec, UserPodJson.Spec),
        ["goal"] = pod.Goal.ToString().ToLowerInvariant(),
        ["locked"] = pod.Locked,
        ["stopAt"] = pod.StopAt,
        ["terminateAt"] = pod.TerminateAt,
    };
}
