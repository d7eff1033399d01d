using System.Security.Cryptography;
using System.Text;
using Sluice.Domain.Declarations;

namespace Sluice.Domain.UserPods;

/// <summary>
/// Computes a short hash of everything that the container of a pod is created from. A pod whose container has another
/// one gets a new container. Pure.
/// </summary>
public static class UserPodFingerprint
{
    /// <summary>Returns 16 hexadecimal digits.</summary>
    /// <param name="spec">The pod.</param>
    /// <param name="devices">UUIDs of its devices.</param>
    public static string Compute(UserPodSpec spec, IReadOnlyList<string> devices)
    {
        // These fields change nothing of the container.
        var created = spec with
        {
            Name = "",
            Template = "",
            IdleTimeout = default,
            StopAfter = default,
            TerminateAfter = default,
            StartTimeout = default,
            StopGrace = default,
            Restart = true,
        };
        var text = DeclarationSerializer.Write(created, UserPodJson.Spec) + string.Join(',', devices);
        return Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text)))[..16];
    }
}
