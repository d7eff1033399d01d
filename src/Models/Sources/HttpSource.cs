using System.Text.Json;
using Sluice.Domain.Declarations;
using Sluice.Models.Downloads;

namespace Sluice.Models.Sources;

/// <summary>
/// A file at an HTTP server: a model, an archive (tar, tar.gz, zip), or a list of files in JSON:
/// <c>{"files": [{"path": "onnx/model.onnx", "sha256": "...", "size": 12}]}</c>, whose paths are relative to the list.
/// </summary>
internal static class HttpSource
{
    /// <summary>The end of the address of a list of files.</summary>
    private const string ListName = ".json";

    /// <summary>The most files of a list.</summary>
    private const int MaxFiles = 10_000;

    public static async Task<DownloadPlan> ResolveAsync(
        HttpClient http, ModelSource source, ModelDeclaration model, CancellationToken ct)
    {
        var uri = new Uri(source.Location);
        var name = Uri.UnescapeDataString(uri.AbsolutePath[(uri.AbsolutePath.LastIndexOf('/') + 1)..]);
        if (name.EndsWith(ListName, StringComparison.Ordinal)) return await ReadListAsync(http, uri, ct);
        var single = new RemoteFile(name, _ => Task.FromResult(new HttpRequestMessage(HttpMethod.Get, uri)))
        {
            Digest = model.Sha256.Length > 0 ? ContentDigest.Sha256(model.Sha256) : null,
            MayBeArchive = true,
        };
        return new DownloadPlan("", [single]);
    }

    private static async Task<DownloadPlan> ReadListAsync(HttpClient http, Uri list, CancellationToken ct)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, list);
        using var document = await SourceResponses.ReadJsonAsync(http, request, list.AbsolutePath, ct);
        if (document.RootElement.ValueKind != JsonValueKind.Object
            || !document.RootElement.TryGetProperty("files", out var files)
            || files.ValueKind != JsonValueKind.Array || files.GetArrayLength() is 0 or > MaxFiles)
            throw new ModelFailureException(
                $"{list.AbsolutePath} is not a list of files; expected {{\"files\": [{{\"path\": ...}}]}} with 1 to "
                + $"{MaxFiles} files");
        return new DownloadPlan("", [.. files.EnumerateArray().Select(f => Read(f, list))]);
    }

    private static RemoteFile Read(JsonElement file, Uri list)
    {
        if (Text(file, "path") is not { Length: > 0 } path)
            throw new ModelFailureException($"{list.AbsolutePath} has a file without 'path'");
        var uri = new Uri(list, string.Join('/', path.Split('/').Select(Uri.EscapeDataString)));
        return new RemoteFile(path, _ => Task.FromResult(new HttpRequestMessage(HttpMethod.Get, uri)))
        {
            Size = file.TryGetProperty("size", out var size) && size.TryGetInt64(out var bytes) ? bytes : null,
            Digest = Text(file, "sha256") is { } hash ? ContentDigest.Sha256(hash.ToLowerInvariant()) : null,
        };
    }

    private static string? Text(JsonElement file, string name) => file.ValueKind == JsonValueKind.Object
        && file.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String
        ? value.GetString() : null;
}
