using System.Xml;
using System.Xml.Linq;
using Sluice.Domain.Declarations;
using Sluice.Models.Downloads;

namespace Sluice.Models.Sources;

/// <summary>
/// Lists the objects of a bucket below a prefix (ListObjectsV2), or one object. Addresses have the bucket in the path,
/// which every compatible server supports.
/// </summary>
internal sealed class S3Source(HttpClient http, S3Settings settings, TimeProvider time)
{
    /// <summary>The most objects of a model.</summary>
    private const int MaxObjects = 10_000;

    /// <summary>The most pages of the list. A page has up to 1,000 objects, and may have none.</summary>
    private const int MaxPages = 200;

    public async Task<DownloadPlan> ResolveAsync(ModelSource source, CancellationToken ct)
    {
        var (bucket, prefix) = Split(source.Location);
        var objects = new List<Listed>();
        string? next = null;
        var pages = 0;
        do
        {
            if (++pages > MaxPages) throw new ModelFailureException($"s3://{source.Location} has no last page");
            next = await ListAsync(bucket, prefix, next, objects, ct);
            if (objects.Count > MaxObjects)
                throw new ModelFailureException($"s3://{source.Location} has more than {MaxObjects} objects");
        }
        while (next is not null);
        if (objects.Find(o => o.Key == prefix) is { } one)
            return new DownloadPlan("", [ToFile(bucket, one, Path.GetFileName(prefix)) with { MayBeArchive = true }]);
        var folder = prefix.Length == 0 ? "" : prefix + "/";
        var files = objects.Where(o => o.Key.StartsWith(folder, StringComparison.Ordinal) && !o.Key.EndsWith('/'))
            .Select(o => ToFile(bucket, o, o.Key[folder.Length..])).ToList();
        return files.Count > 0 ? new DownloadPlan("", files)
            : throw new ModelFailureException($"s3://{source.Location} has no objects");
    }

    private static (string Bucket, string Prefix) Split(string location)
    {
        var parts = location.Split('/', 2);
        return (parts[0], parts is [_, var prefix] ? prefix.TrimEnd('/') : "");
    }

    /// <summary>Adds the objects of one page. Returns the token of the next page; null: it was the last one.</summary>
    private async Task<string?> ListAsync(
        string bucket, string prefix, string? token, List<Listed> objects, CancellationToken ct)
    {
        var query = $"list-type=2&prefix={Uri.EscapeDataString(prefix)}"
            + (token is null ? "" : $"&continuation-token={Uri.EscapeDataString(token)}");
        using var request = Signed(new Uri(settings.Server, $"{bucket}?{query}"));
        var body = await SourceResponses.ReadAsync(http, request, $"s3://{bucket}/{prefix}", ct);
        try
        {
            using var reader = XmlReader.Create(new MemoryStream(body),
                new XmlReaderSettings { DtdProcessing = DtdProcessing.Prohibit });
            var root = XDocument.Load(reader).Root!;
            var space = root.Name.Namespace;
            objects.AddRange(root.Elements(space + "Contents").Select(c => new Listed(
                (string?)c.Element(space + "Key") ?? throw new FormatException("an object has no key"),
                (long)c.Element(space + "Size")!,
                (string?)c.Element(space + "ETag") ?? "")));
            return (string?)root.Element(space + "IsTruncated") == "true"
                ? (string?)root.Element(space + "NextContinuationToken") : null;
        }
        catch (Exception e) when (e is XmlException or ArgumentNullException or FormatException)
        {
            throw new ModelFailureException($"{settings.Server.Host} sent an invalid list of objects: {e.Message}", e);
        }
    }

    private RemoteFile ToFile(string bucket, Listed listed, string path)
    {
        var escaped = string.Join('/', listed.Key.Split('/').Select(Uri.EscapeDataString));
        var uri = new Uri(settings.Server, $"{bucket}/{escaped}");
        return new RemoteFile(path, _ => Task.FromResult(Signed(uri, listed.Tag)))
        {
            Size = listed.Size,
            ReadDigest = ReadDigest,
        };
    }

    /// <summary>Reads the SHA-256 that S3 stores for objects that were uploaded with it.</summary>
    private static ContentDigest? ReadDigest(HttpResponseMessage response)
    {
        if (!response.Headers.TryGetValues("x-amz-checksum-sha256", out var values)) return null;
        var hash = new byte[32];
        // A checksum of checksums, of an upload in parts, ends with the number of parts.
        return Convert.TryFromBase64String(values.First(), hash, out var length) && length == hash.Length
            ? ContentDigest.Sha256(Convert.ToHexStringLower(hash)) : null;
    }

    private HttpRequestMessage Signed(Uri uri, string? tag = null)
    {
        var request = new HttpRequestMessage(HttpMethod.Get, uri);
        if (tag is not null) request.Headers.Add("x-amz-checksum-mode", "ENABLED");
        S3Signature.Sign(request, settings, time.GetUtcNow());
        // The object must not change between the list and its last byte.
        if (tag is { Length: > 0 }) request.Headers.TryAddWithoutValidation("If-Match", tag);
        return request;
    }

    private sealed record Listed(string Key, long Size, string Tag);
}
