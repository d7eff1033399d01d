using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace Sluice.Domain.Webhooks;

/// <summary>
/// Signs webhooks as the Standard Webhooks specification requires (github.com/standard-webhooks): HMAC-SHA256 of
/// <c>id.timestamp.body</c>.
/// </summary>
public static class WebhookSignature
{
    /// <summary>The prefix of a secret; the rest is base64 of 24 to 64 bytes.</summary>
    public const string SecretPrefix = "whsec_";

    public static string NewSecret() => SecretPrefix + Convert.ToBase64String(RandomNumberGenerator.GetBytes(32));

    /// <summary>
    /// Returns the value of <c>webhook-signature</c>: one <c>v1,</c> signature per secret, separated by spaces, so that
    /// a receiver which knows the old or the new secret accepts the delivery.
    /// </summary>
    public static string Sign(IEnumerable<string> secrets, string id, long unixSeconds, ReadOnlySpan<byte> body)
    {
        byte[] signed =
        [
            .. Encoding.UTF8.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{id}.{unixSeconds}.")),
            .. body,
        ];
        return string.Join(
            ' ',
            secrets.Select(s => "v1," + Convert.ToBase64String(HMACSHA256.HashData(Key(s), signed))));
    }

    private static byte[] Key(string secret) => Convert.FromBase64String(secret[SecretPrefix.Length..]);
}
