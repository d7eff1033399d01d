using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Sluice.Domain.Declarations;

namespace Sluice.Domain.Fleet;

/// <summary>
/// Computes a short hash of everything that a worker is started from. A worker with another fingerprint than its
/// endpoint is replaced. Pure.
/// </summary>
public static class PodFingerprint
{
    /// <summary>Returns the fingerprint of a deployment: 16 hexadecimal digits.</summary>
    public static string Compute(Deployment deployment)
    {
        var started = string.Join('\n', DeclarationSerializer.Write(deployment.Template, DeclarationJson.Template),
            JsonSerializer.Serialize(deployment.Endpoint.Env.OrderBy(e => e.Key, StringComparer.Ordinal)
                .Select(e => e.Key + "=" + e.Value).ToArray(), PodJson.Default.StringArray),
            string.Join(',', deployment.Endpoint.ServedModels),
            deployment.Endpoint.Forwarding.MaxBodyBytes);
        // Endpoints without a source keep the fingerprint that earlier builds computed.
        if (deployment.Endpoint.Model is { } model)
            started += $"\n{model.Source}\n{model.Sha256}\n{string.Join('\n', model.Files)}";
        return Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(started)))[..16];
    }
}
