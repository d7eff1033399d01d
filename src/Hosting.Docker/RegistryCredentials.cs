using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Sluice.Domain.Declarations;

namespace Sluice.Hosting.Docker;

/// <summary>
/// Reads registry credentials from the file that <c>docker login</c> writes. Credential helpers, which are programs,
/// are not run.
/// </summary>
internal static class RegistryCredentials
{
    /// <summary>
    /// Returns the value of the header <c>X-Registry-Auth</c>, or null if the file has no credentials for the registry.
    /// </summary>
    /// <param name="file">Path of the file; empty: there are no credentials.</param>
    /// <param name="image">The image whose registry is looked up.</param>
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

            var encoded = Convert.ToBase64String(Encoding.UTF8.GetBytes(auth.ToJsonString()));
            return encoded.Replace('+', '-').Replace('/', '_');
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or JsonException or FormatException
            or InvalidOperationException)
        {
            throw new InvalidOperationException(
                $"SLUICE_DOCKER_CONFIG is '{file}'; expected a file that docker login writes: {e.Message}", e);
        }
    }
}
