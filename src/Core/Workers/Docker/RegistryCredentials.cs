using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Sluice.Core.Endpoints;

namespace Sluice.Core.Workers.Docker;

/// <summary>Credentials of registries, from the file that <c>docker login</c> writes. Credential helpers, which are programs, are not run.</summary>
internal static class RegistryCredentials
{
    /// <summary>The value of <c>X-Registry-Auth</c>; null: none are kept for this registry.</summary>
    /// <exception cref="InvalidOperationException">The file cannot be read.</exception>
    public static string? Find(string file, ImageName image)
    {
        if (file.Length == 0) return null;
        try
        {
            if (JsonNode.Parse(File.ReadAllText(file))?["auths"]?[image.Registry] is not JsonObject entry) return null;
            var auth = new JsonObject { ["serveraddress"] = image.Registry };
            if ((string?)entry["identitytoken"] is { Length: > 0 } token) auth["identitytoken"] = token;
            if ((string?)entry["auth"] is { Length: > 0 } packed)
            {
                var text = Encoding.UTF8.GetString(Convert.FromBase64String(packed));
                var colon = text.IndexOf(':', StringComparison.Ordinal);
                (auth["username"], auth["password"]) = colon < 0 ? (text, "") : (text[..colon], text[(colon + 1)..]);
            }

            return Convert.ToBase64String(Encoding.UTF8.GetBytes(auth.ToJsonString())).Replace('+', '-').Replace('/', '_');
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or JsonException or FormatException or InvalidOperationException)
        {
            throw new InvalidOperationException($"SLUICE_DOCKER_CONFIG is '{file}', expected a file as docker login writes it: {e.Message}", e);
        }
    }
}
