using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace Sluice.Models.Sources;

/// <summary>
/// Signs requests without a body with AWS Signature Version 4 ("Authenticating Requests: Using the Authorization
/// Header", Amazon S3 API reference). Pure.
/// </summary>
public static class S3Signature
{
    /// <summary>SHA-256 of an empty body.</summary>
    private const string EmptyBody = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    private const string Algorithm = "AWS4-HMAC-SHA256";

    /// <summary>
    /// Adds <c>Host</c>, the date and <c>Authorization</c> to a GET request. Its URI has an escaped path, and a query
    /// of escaped names and values. Its headers that begin with <c>x-amz-</c> are signed.
    /// </summary>
    /// <param name="request">The request.</param>
    /// <param name="settings">The keys and the region.</param>
    /// <param name="now">The current time.</param>
    public static void Sign(HttpRequestMessage request, S3Settings settings, DateTimeOffset now)
    {
        if (settings.AccessKeyId.Length == 0) return;
        var uri = request.RequestUri!;
        var at = now.UtcDateTime.ToString("yyyyMMdd'T'HHmmss'Z'", CultureInfo.InvariantCulture);
        request.Headers.Host = uri.IsDefaultPort ? uri.Host : uri.Authority;
        request.Headers.Add("x-amz-content-sha256", EmptyBody);
        request.Headers.Add("x-amz-date", at);
        if (settings.SessionToken.Length > 0) request.Headers.Add("x-amz-security-token", settings.SessionToken);
        var signed = request.Headers.Where(h => h.Key == "Host" || h.Key.StartsWith("x-amz-", StringComparison.Ordinal))
            .Select(h => (Name: h.Key.ToLowerInvariant(), Value: string.Join(',', h.Value).Trim()))
            .OrderBy(h => h.Name, StringComparer.Ordinal).ToList();
        var names = string.Join(';', signed.Select(h => h.Name));
        var canonical = string.Join('\n', ["GET", uri.AbsolutePath, Query(uri),
            .. signed.Select(h => $"{h.Name}:{h.Value}"), "", names, EmptyBody]);
        var scope = $"{at[..8]}/{settings.Region}/s3/aws4_request";
        var text = string.Join('\n', Algorithm, at, scope, Hex(SHA256.HashData(Encoding.UTF8.GetBytes(canonical))));
        var key = new[] { at[..8], settings.Region, "s3", "aws4_request" }.Aggregate(
            Encoding.UTF8.GetBytes("AWS4" + settings.SecretAccessKey),
            (k, part) => HMACSHA256.HashData(k, Encoding.UTF8.GetBytes(part)));
        var signature = Hex(HMACSHA256.HashData(key, Encoding.UTF8.GetBytes(text)));
        request.Headers.TryAddWithoutValidation("Authorization",
            $"{Algorithm} Credential={settings.AccessKeyId}/{scope},SignedHeaders={names},Signature={signature}");
    }

    /// <summary>The parameters in the order of their names, each with <c>=</c>.</summary>
    private static string Query(Uri uri) => string.Join('&', uri.Query.TrimStart('?')
        .Split('&', StringSplitOptions.RemoveEmptyEntries)
        .Select(p => p.Contains('=') ? p : p + "=").Order(StringComparer.Ordinal));

    private static string Hex(byte[] bytes) => Convert.ToHexStringLower(bytes);
}
