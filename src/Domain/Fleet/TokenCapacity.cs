using System.Globalization;
using System.Text.Json.Serialization;

namespace Sluice.Domain.Fleet;

/// <summary>
/// How many tokens the key/value cache of a worker can hold, and how much of it a text uses. Dispatch sends a text to
/// the worker only if the texts that are there and this one fit.
/// </summary>
/// <param name="Tokens">Tokens of all texts together; at least 1.</param>
/// <param name="Unit">A text uses a multiple of this number of tokens: the size of a block, or of a short row.</param>
/// <param name="Doubles">Whether the cache has rows: a text uses the unit, doubled until the text fits.</param>
/// <param name="Longest">
/// Tokens of the longest text, the context of the model; 0: not known. Clients often ask for more tokens than that.
/// </param>
public sealed record TokenCapacity(long Tokens, int Unit = 1, bool Doubles = false, long Longest = 0)
{
    /// <summary>
    /// Response header at the ready path of a worker: <c>tokens=8192</c>, <c>tokens=8192, block=16</c> (a text uses
    /// whole blocks) or <c>tokens=8192, row=256</c> (a text uses a row, whose length is doubled on demand). With
    /// <c>longest=4096</c>, a text has at most so many tokens.
    /// </summary>
    public const string Header = "X-Sluice-Cache";

    /// <summary>More tokens than any cache holds: 4 bytes for each would be 4 TiB.</summary>
    public const long MaxTokens = 1L << 40;

    private const int MaxHeaderLength = 128;
    private const int MaxUnit = 1 << 20;

    /// <summary>
    /// Its text in Redis, which <c>room.part.lua</c> reads: <c>tokens|unit|1 if it doubles|longest</c>.
    /// </summary>
    [JsonIgnore]
    public string Text => string.Create(
        CultureInfo.InvariantCulture, $"{Tokens}|{Unit}|{(Doubles ? 1 : 0)}|{Longest}");

    /// <summary>
    /// Returns the tokens that a text is charged. A text that may become larger than the cache is charged the whole
    /// cache, so it runs alone. <c>room.part.lua</c> has the same rule.
    /// </summary>
    /// <param name="tokens">The tokens of prompt and answer, at most.</param>
    public long Charge(long tokens)
    {
        if (tokens <= 0) return 0;
        var longest = Longest > 0 ? Longest : long.MaxValue;
        tokens = Math.Min(tokens, longest);
        if (tokens >= Tokens) return Tokens;
        if (!Doubles) return Math.Min(Tokens, (tokens + Unit - 1) / Unit * Unit);
        long row = Unit;
        while (row < tokens) row *= 2;
        return Math.Min(Tokens, Math.Min(row, longest));
    }

    /// <summary>
    /// Returns the capacity that counts: the declared number of tokens, else what the worker reports.
    /// </summary>
    /// <param name="declared">The tokens that the template declares; 0: none.</param>
    /// <param name="reported">What the worker reports; null: nothing.</param>
    public static TokenCapacity? Choose(long declared, TokenCapacity? reported) => declared == 0
        ? reported
        : (reported ?? new TokenCapacity(declared)) with { Tokens = declared };

    /// <summary>Parses <see cref="Text"/>.</summary>
    public static TokenCapacity FromText(string text)
    {
        var parts = text.Split('|');
        return new TokenCapacity(
            long.Parse(parts[0], CultureInfo.InvariantCulture),
            int.Parse(parts[1], CultureInfo.InvariantCulture),
            parts[2] == "1",
            long.Parse(parts[3], CultureInfo.InvariantCulture));
    }

    /// <summary>Parses the value of <see cref="Header"/>. Null: it has another form or an impossible value.</summary>
    public static TokenCapacity? Parse(string? header)
    {
        if (header is not { Length: <= MaxHeaderLength }) return null;
        long? tokens = null;
        long longest = 0;
        var (unit, doubles) = (1, false);
        foreach (var part in header.Split(',', StringSplitOptions.TrimEntries))
        {
            if (part.Split('=', 2) is not [var name, var digits]
                || !long.TryParse(digits, NumberStyles.None, CultureInfo.InvariantCulture, out var value)
                || value < 1) return null;
            if (name == "tokens") tokens = value;
            else if (name == "longest") longest = value;
            else if (name is "block" or "row" && value <= MaxUnit) (unit, doubles) = ((int)value, name == "row");
            else if (name is "block" or "row") return null;
        }

        return tokens is { } all and <= MaxTokens ? new TokenCapacity(all, unit, doubles, longest) : null;
    }
}
