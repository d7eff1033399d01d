using System.Text.Json;

namespace Sluice.Domain.Notation;

/// <summary>Shortens the values that error messages quote. A shortened text ends with "...".</summary>
public static class QuotedText
{
    /// <summary>The longest header or path that a message quotes.</summary>
    public const int Most = 100;

    /// <summary>The longest JSON value that a message quotes: the message also names the field and the rule.</summary>
    public const int MostJson = 80;

    /// <summary>Returns a text with at most this number of characters.</summary>
    public static string Shorten(string text, int most = Most) =>
        text.Length <= most ? text : text[..(most - 3)] + "...";

    /// <summary>Returns a JSON value as it was written.</summary>
    public static string Shorten(JsonElement value) => Shorten(value.GetRawText(), MostJson);
}
