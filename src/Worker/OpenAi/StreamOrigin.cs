using System.Globalization;
using System.Runtime.InteropServices;
using System.Security.Cryptography;

namespace Sluice.Worker.OpenAi;

/// <summary>
/// What a response has that its request does not determine. A worker that continues a stream needs the same values.
/// </summary>
/// <param name="Id">Number of the response.</param>
/// <param name="Created">Time of the request, in seconds since 1970.</param>
/// <param name="Seed">The seed if the request has none.</param>
internal sealed record StreamOrigin(Guid Id, long Created, ulong Seed)
{
    /// <summary>The time of the request.</summary>
    public DateTimeOffset Time => DateTimeOffset.FromUnixTimeSeconds(Created);

    /// <summary>Returns the origin of a new response.</summary>
    public static StreamOrigin Create(TimeProvider time) => new(
        Guid.NewGuid(), time.GetUtcNow().ToUnixTimeSeconds(), (ulong)Random.Shared.NextInt64());

    /// <summary>
    /// Returns the value of the header <see cref="Continuation.Header"/>: the origin, and a fingerprint of the model
    /// and of the prompts.
    /// </summary>
    public string Announce(string model, IEnumerable<Choice> choices) => string.Create(
        CultureInfo.InvariantCulture, $"{Fingerprint(model, choices)}.{Id:N}.{Created}.{Seed}");

    /// <summary>Reads a value of <see cref="Announce"/>. Returns null if it has another form.</summary>
    /// <param name="announced">The value.</param>
    /// <param name="fingerprint">The fingerprint that is part of the value.</param>
    public static StreamOrigin? Read(string announced, out string fingerprint)
    {
        var parts = announced.Split('.');
        fingerprint = parts[0];
        return parts.Length == 4
            && Guid.TryParseExact(parts[1], "N", out var id)
            && long.TryParse(parts[2], NumberStyles.None, CultureInfo.InvariantCulture, out var created)
            && created <= DateTimeOffset.MaxValue.ToUnixTimeSeconds()
            && ulong.TryParse(parts[3], NumberStyles.None, CultureInfo.InvariantCulture, out var seed)
            ? new StreamOrigin(id, created, seed)
            : null;
    }

    /// <summary>
    /// Returns a fingerprint of a model and of the tokens of the prompts. A prompt can differ although the request is
    /// the same, for example by a template that uses the local time.
    /// </summary>
    public static string Fingerprint(string model, IEnumerable<Choice> choices)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        IReadOnlyList<int>? last = null;
        foreach (var prompt in choices.Select(c => c.Request.Prompt!))
        {
            // The texts of one prompt share its tokens.
            if (!ReferenceEquals(prompt, last))
                hash.AppendData(MemoryMarshal.AsBytes<int>(prompt as int[] ?? [.. prompt]));
            hash.AppendData([(byte)';']);
            last = prompt;
        }

        return $"{model}{Convert.ToHexStringLower(hash.GetHashAndReset().AsSpan(0, 16))}";
    }
}
