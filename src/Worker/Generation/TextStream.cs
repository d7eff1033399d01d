using System.Text;
using Sluice.Worker.Generation.Tokenization;

namespace Sluice.Worker.Generation;

/// <summary>
/// Converts generated tokens to text that can be sent. Incomplete characters, and text that can be the start of a stop
/// string, are held back.
/// </summary>
/// <param name="decoder">The decoder of this text.</param>
/// <param name="stops">Strings that end the text.</param>
public sealed class TextStream(ITokenDecoder decoder, IReadOnlyList<string> stops)
{
    private readonly StringBuilder held = new();

    /// <summary>
    /// Whether a stop string was generated. The stop string and everything after it are not part of the text.
    /// </summary>
    public bool Stopped { get; private set; }

    /// <summary>Adds one token and returns the text that can be sent now. The text is often empty.</summary>
    public string Push(int token)
    {
        held.Append(decoder.Push(token));
        return TakeSendable();
    }

    /// <summary>
    /// Ends the text and returns the text that was held back. An incomplete character is returned as U+FFFD.
    /// </summary>
    public string Finish()
    {
        if (Stopped) return "";
        held.Append(decoder.Finish());
        var rest = held.ToString();
        held.Clear();
        return rest;
    }

    private string TakeSendable()
    {
        var text = held.ToString();
        var first = stops.Select(s => text.IndexOf(s, StringComparison.Ordinal)).Where(i => i >= 0)
            .DefaultIfEmpty(-1).Min();
        if (first >= 0)
        {
            Stopped = true;
            held.Clear();
            return text[..first];
        }

        var keep = stops.Select(s => Overlap(text, s)).DefaultIfEmpty(0).Max();
        held.Remove(0, text.Length - keep);
        return text[..^keep];
    }

    /// <summary>Returns the length of the longest suffix of the text that is a prefix of the stop string.</summary>
    private static int Overlap(string text, string stop)
    {
        for (var n = Math.Min(text.Length, stop.Length - 1); n > 0; n--)
            if (text.EndsWith(stop[..n], StringComparison.Ordinal)) return n;
        return 0;
    }
}
