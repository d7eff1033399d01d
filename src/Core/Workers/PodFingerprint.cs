using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Sluice.Core.Endpoints;

namespace Sluice.Core.Workers;

/// <summary>What a worker is started from, as one short text: a worker with another fingerprint is replaced. Pure.</summary>
public static class PodFingerprint
{
    public static string Of(Deployment deployment)
    {
        var started = string.Join('\n', Declarations.Write(deployment.Template, DeclarationJson.Template),
            JsonSerializer.Serialize(deployment.Endpoint.Env.OrderBy(e => e.Key, StringComparer.Ordinal)
                .Select(e => e.Key + "=" + e.Value).ToArray(), PodJson.Default.StringArray),
            string.Join(',', deployment.Endpoint.ServedModels),
            deployment.Endpoint.Forwarding.MaxBodyBytes);
        return Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(started)))[..16];
    }
}
