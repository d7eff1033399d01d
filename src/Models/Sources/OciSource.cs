using System.Net;
using System.Net.Http.Headers;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;
using Sluice.Domain.Declarations;
using Sluice.Models.Downloads;

namespace Sluice.Models.Sources;

/// <summary>
/// Reads the layers of an image from a registry (OCI distribution specification 1.1). Each layer is requested and
/// checked by its digest. A registry that requires a token names the server that issues it.
/// </summary>
internal sealed partial class OciSource(HttpClient http, OciReference image, OciSettings settings)
{
    /// <summary>The folder of an image that has the model, as in KServe's modelcars.</summary>
    private const string ModelFolder = "models";

    private const string Index = "application/vnd.oci.image.index.v1+json";
    private const string List = "application/vnd.docker.distribution.manifest.list.v2+json";

    private static readonly string[] Manifests =
    [
        "application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json",
        Index, List,
    ];

    private string? token;

    public async Task<DownloadPlan> ResolveAsync(CancellationToken ct)
    {
        var (digest, manifest) = await ReadAsync(image.Reference, ct);
        using var first = manifest;
        if (first.RootElement.TryGetProperty("manifests", out var platforms))
        {
            var chosen = Choose(platforms) ?? throw new ModelFailureException(
                $"{image.Name} has no image for linux/amd64 or for every platform");
            var (_, inner) = await ReadAsync(chosen, ct);
            using var second = inner;
            return new DownloadPlan(digest, Layers(second.RootElement)) { LayerFolder = ModelFolder };
        }

        return new DownloadPlan(digest, Layers(first.RootElement)) { LayerFolder = ModelFolder };
    }

    private static string? Choose(JsonElement platforms)
    {
        string? any = null;
        foreach (var entry in platforms.EnumerateArray())
        {
            if (!entry.TryGetProperty("digest", out var digest)) continue;
            if (!entry.TryGetProperty("platform", out var platform)) any ??= digest.GetString();
            else if (Text(platform, "os") == "linux" && Text(platform, "architecture") == "amd64")
                return digest.GetString();
        }

        return any;
    }

    private List<RemoteFile> Layers(JsonElement manifest)
    {
        if (!manifest.TryGetProperty("layers", out var layers) || layers.ValueKind != JsonValueKind.Array)
            throw new ModelFailureException($"the manifest of {image.Name} has no layers");
        var files = new List<RemoteFile>();
        foreach (var layer in layers.EnumerateArray())
        {
            var (digest, type) = (Text(layer, "digest") ?? "", Text(layer, "mediaType") ?? "");
            if (!Digest().IsMatch(digest))
                throw new ModelFailureException($"{image.Name} has a layer '{digest}'; expected a sha256 digest");
            if (type.Contains("zstd", StringComparison.Ordinal))
                throw new ModelFailureException($"{image.Name} has a layer of {type}; expected tar or tar+gzip");
            files.Add(new RemoteFile($"layer-{files.Count}", ct => RequestAsync($"blobs/{digest}", ct))
            {
                Size = layer.TryGetProperty("size", out var size) && size.TryGetInt64(out var bytes) ? bytes : null,
                Digest = ContentDigest.Sha256(digest["sha256:".Length..]),
            });
        }

        return files;
    }

    /// <summary>Reads a manifest, and checks it if it is named by its digest.</summary>
    private async Task<(string Digest, JsonDocument Manifest)> ReadAsync(string reference, CancellationToken ct)
    {
        using var request = await RequestAsync($"manifests/{reference}", ct);
        var body = await SourceResponses.ReadAsync(http, request, $"{image.Name}:{reference}", ct);
        var digest = $"sha256:{Convert.ToHexStringLower(SHA256.HashData(body))}";
        if (reference.StartsWith("sha256:", StringComparison.Ordinal) && reference != digest)
            throw new ModelFailureException($"the digest of the manifest is '{digest}'; expected {reference}");
        try
        {
            return (digest, JsonDocument.Parse(body));
        }
        catch (JsonException e)
        {
            throw new ModelFailureException($"{image.Registry} sent an invalid manifest: {e.Message}", e);
        }
    }

    /// <summary>Creates a request with a token, if the registry requires one. Tokens expire within minutes.</summary>
    private async Task<HttpRequestMessage> RequestAsync(string path, CancellationToken ct)
    {
        var request = Create(path);
        if (path.StartsWith("manifests/", StringComparison.Ordinal) || token is not null)
            await AuthorizeAsync(request, path, ct);
        return request;
    }

    private async Task AuthorizeAsync(HttpRequestMessage request, string path, CancellationToken ct)
    {
        using var probe = Create(path);
        probe.Method = HttpMethod.Head;
        using var response = await SendAsync(probe, ct);
        if (response.StatusCode != HttpStatusCode.Unauthorized) return;
        var challenge = response.Headers.WwwAuthenticate.FirstOrDefault(c => c.Scheme is "Bearer" or "Basic");
        if (challenge?.Scheme == "Basic")
        {
            request.Headers.Authorization = Basic();
            return;
        }

        var fields = new Dictionary<string, string>();
        foreach (Match match in Field().Matches(challenge?.Parameter ?? ""))
            fields.TryAdd(match.Groups[1].Value, match.Groups[2].Value);
        if (!fields.TryGetValue("realm", out var realm) || !Uri.TryCreate(realm, UriKind.Absolute, out var server)
            || (server.Scheme != "https" && (server.Scheme != "http" || image.Server.Scheme == "https")))
            throw new ModelFailureException($"{image.Registry} requires credentials, and its server for tokens is "
                + $"'{SafePath.Printable(realm ?? "")}'; expected an address that begins with https://");
        using var ask = new HttpRequestMessage(HttpMethod.Get, $"{realm}?service="
            + $"{Uri.EscapeDataString(fields.GetValueOrDefault("service", ""))}&scope="
            + Uri.EscapeDataString($"repository:{image.Name}:pull")) { Headers = { Authorization = Basic() } };
        using var answer = await SourceResponses.ReadJsonAsync(http, ask, $"a token for {image.Name}", ct);
        token = Text(answer.RootElement, "token") ?? Text(answer.RootElement, "access_token");
        if (token is null) throw new ModelFailureException($"{server.Host} sent no token for {image.Name}");
        request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", token);
    }

    private HttpRequestMessage Create(string path)
    {
        var request = new HttpRequestMessage(HttpMethod.Get, new Uri(image.Server, path));
        foreach (var type in Manifests) request.Headers.Accept.ParseAdd(type);
        if (token is not null) request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", token);
        return request;
    }

    private async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken ct)
    {
        try
        {
            return await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, ct);
        }
        catch (HttpRequestException e)
        {
            throw new ModelFailureException($"{image.Registry} cannot be reached: {e.Message}", e);
        }
    }

    /// <summary>The credentials of this registry; null: there are none. Other registries do not get them.</summary>
    private AuthenticationHeaderValue? Basic() => settings.Registry != image.Registry || settings.User.Length == 0
        ? null : new AuthenticationHeaderValue("Basic",
            Convert.ToBase64String(Encoding.UTF8.GetBytes($"{settings.User}:{settings.Password}")));

    private static string? Text(JsonElement element, string name) => element.ValueKind == JsonValueKind.Object
        && element.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String
        ? value.GetString() : null;

    [GeneratedRegex(@"^sha256:[0-9a-f]{64}\z")]
    private static partial Regex Digest();

    [GeneratedRegex("([a-z]+)=\"([^\"]*)\"")]
    private static partial Regex Field();
}
