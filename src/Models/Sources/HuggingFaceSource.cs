using System.Net.Http.Headers;
using System.Text.Json;
using Sluice.Domain.Declarations;
using Sluice.Models.Downloads;

namespace Sluice.Models.Sources;

/// <summary>
/// Lists the files of a repository with the API of the Hugging Face Hub:
/// <c>/api/models/{id}/revision/{revision}?blobs=true</c>. All files are requested from the commit that it names, so a
/// branch that moves during the download gives no mixture.
/// </summary>
internal static class HuggingFaceSource
{
    public static async Task<DownloadPlan> ResolveAsync(
        HttpClient http, ModelSource source, SourceSettings settings, CancellationToken ct)
    {
        var revision = Uri.EscapeDataString(source.Revision);
        var list = new Uri(settings.HuggingFace, $"api/models/{source.Location}/revision/{revision}?blobs=true");
        using var request = Authorized(list, settings);
        using var document = await SourceResponses.ReadJsonAsync(http, request, source.Location, ct);
        var root = document.RootElement;
        var commit = root.TryGetProperty("sha", out var sha) ? sha.GetString() ?? source.Revision : source.Revision;
        if (!root.TryGetProperty("siblings", out var siblings) || siblings.ValueKind != JsonValueKind.Array)
            throw new ModelFailureException($"{list.Host} listed no files of {source.Location}@{source.Revision}");
        return new DownloadPlan(commit, [.. siblings.EnumerateArray().Select(s => Read(s, source, commit, settings))]);
    }

    private static RemoteFile Read(JsonElement sibling, ModelSource source, string commit, SourceSettings settings)
    {
        var name = sibling.GetProperty("rfilename").GetString() ?? throw new FormatException("a file has no name");
        var escaped = string.Join('/', name.Split('/').Select(Uri.EscapeDataString));
        var uri = new Uri(settings.HuggingFace, $"{source.Location}/resolve/{Uri.EscapeDataString(commit)}/{escaped}");
        ContentDigest? digest = null;
        if (sibling.TryGetProperty("lfs", out var lfs) && lfs.ValueKind == JsonValueKind.Object)
            digest = lfs.TryGetProperty("sha256", out var hash) ? ContentDigest.Sha256(hash.GetString()!) : null;
        else if (sibling.TryGetProperty("blobId", out var blob) && blob.ValueKind == JsonValueKind.String)
            digest = new ContentDigest(DigestAlgorithm.GitBlob, blob.GetString()!);
        return new RemoteFile(name, _ => Task.FromResult(Authorized(uri, settings)))
        {
            Size = sibling.TryGetProperty("size", out var size) && size.TryGetInt64(out var bytes) ? bytes : null,
            Digest = digest,
        };
    }

    private static HttpRequestMessage Authorized(Uri uri, SourceSettings settings)
    {
        var request = new HttpRequestMessage(HttpMethod.Get, uri);
        // HttpClient removes this header when it follows a redirect to another server.
        if (settings.HuggingFaceToken.Length > 0)
            request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", settings.HuggingFaceToken);
        return request;
    }
}
