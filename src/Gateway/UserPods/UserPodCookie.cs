using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace Sluice.Gateway.UserPods;

/// <summary>
/// The content of the cookie that opens a pod in a browser: pod, API key and expiry, signed with a secret that all
/// gateways share (HMAC-SHA256). It opens one pod, and only while its key is valid.
/// </summary>
/// <param name="PodId">The pod that it opens.</param>
/// <param name="KeyId">The id of the key that opened the link.</param>
/// <param name="ExpiresAt">When it expires.</param>
public sealed record UserPodCookie(string PodId, string KeyId, DateTimeOffset ExpiresAt)
{
    /// <summary>How long a cookie is valid: a working day.</summary>
    public static readonly TimeSpan Lifetime = TimeSpan.FromHours(12);

    private const string Version = "1";

    /// <summary>
    /// Returns the name of the cookie. Browsers accept the prefix <c>__Host-</c> only from the host itself and over
    /// TLS, so that another subdomain cannot set it.
    /// </summary>
    public static string NameOf(UserPodRouting routing) =>
        routing is { IsSecure: true, UsesPaths: false } ? "__Host-sluice-pod" : "sluice-pod";

    /// <summary>Returns the value of the cookie.</summary>
    public string Sign(byte[] secret)
    {
        var content = string.Create(
            CultureInfo.InvariantCulture, $"{Version}.{PodId}.{KeyId}.{ExpiresAt.ToUnixTimeSeconds()}");
        return $"{content}.{Convert.ToHexStringLower(Mac(content, secret))}";
    }

    /// <summary>Reads a value. Returns null if its signature is wrong, or it has expired.</summary>
    public static UserPodCookie? Read(string value, byte[] secret, DateTimeOffset now)
    {
        var dot = value.LastIndexOf('.');
        if (dot < 0 || value.Length > 200) return null;
        var expected = Convert.ToHexStringLower(Mac(value[..dot], secret));
        if (!CryptographicOperations.FixedTimeEquals(
            Encoding.ASCII.GetBytes(expected), Encoding.UTF8.GetBytes(value[(dot + 1)..]))) return null;
        if (value[..dot].Split('.') is not [Version, var pod, var key, var seconds]) return null;
        var expires = DateTimeOffset.FromUnixTimeSeconds(long.Parse(seconds, CultureInfo.InvariantCulture));
        return expires > now ? new UserPodCookie(pod, key, expires) : null;
    }

    /// <summary>
    /// Returns the values of a cookie in the header <c>Cookie</c>: other paths may have set the same name.
    /// </summary>
    public static IEnumerable<string> Find(string? header, string name) =>
        Items(header).Where(i => i.StartsWith(name + "=", StringComparison.Ordinal))
            .Select(i => i[(name.Length + 1)..]);

    /// <summary>Returns the header <c>Cookie</c> without a cookie; null: nothing is left.</summary>
    public static string? Without(string? header, string name)
    {
        var rest = string.Join("; ", Items(header).Where(i => !i.StartsWith(name + "=", StringComparison.Ordinal)));
        return rest.Length > 0 ? rest : null;
    }

    private static string[] Items(string? header) =>
        (header ?? "").Split(';', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);

    private static byte[] Mac(string content, byte[] secret) =>
        HMACSHA256.HashData(secret, Encoding.UTF8.GetBytes("pod-cookie:" + content));
}
