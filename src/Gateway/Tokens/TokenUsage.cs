using System.Globalization;
using System.Net.Http.Headers;

namespace Sluice.Gateway.Tokens;

/// <summary>The tokens of a request, as the engine of the worker counted them.</summary>
/// <param name="Prompt">Tokens of the prompts, with those that the cache contained.</param>
/// <param name="Cached">Tokens of the prompts that the cache contained.</param>
/// <param name="Generated">Generated tokens.</param>
public readonly record struct TokenUsage(long Prompt, long Cached, long Generated)
{
    /// <summary>
    /// Response header of the built-in worker, and trailer of its streams:
    /// <c>prompt=12, cached=4, generated=40</c>. Clients do not get it.
    /// </summary>
    public const string Header = "X-Sluice-Usage";

    /// <summary>Request header: an unguessable id, with which the usage can be read later.</summary>
    public const string IdHeader = "X-Sluice-Usage-Id";

    private const int MaxHeaderLength = 128;

    /// <summary>The tokens that count against the limit of a key.</summary>
    public long Total => Prompt + Generated;

    /// <summary>Returns the usage that a worker reported, or null.</summary>
    public static TokenUsage? Find(HttpHeaders headers) =>
        headers.NonValidated.TryGetValues(Header, out var values) ? Parse(values.ToString()) : null;

    /// <summary>Parses the value of <see cref="Header"/>. Null: it has another form.</summary>
    public static TokenUsage? Parse(string text)
    {
        if (text.Length > MaxHeaderLength) return null;
        long? prompt = null, cached = null, generated = null;
        foreach (var part in text.Split(',', StringSplitOptions.TrimEntries))
        {
            if (part.Split('=', 2) is not [var name, var digits]
                || !long.TryParse(digits, NumberStyles.None, CultureInfo.InvariantCulture, out var count)
                || count > int.MaxValue) return null;
            if (name == "prompt") prompt = count;
            else if (name == "cached") cached = count;
            else if (name == "generated") generated = count;
        }

        return prompt is { } p && generated is { } g ? new TokenUsage(p, cached ?? 0, g) : null;
    }
}
