using System.Text;

namespace Sluice.Worker.Generation;

/// <summary>
/// Turns bytes as they are generated into text as it may be sent: whole characters only, and nothing that may yet become
/// one of the stop strings.
/// </summary>
public sealed class TextStream(IReadOnlyList<string> stops)
{
    private readonly Decoder decoder = Encoding.UTF8.GetDecoder();
    private readonly StringBuilder held = new();

    /// <summary>A stop string was generated; it and what follows are not part of the text.</summary>
    public bool Stopped { get; private set; }

    /// <summary>Takes one byte and returns the text that can be sent now, often empty.</summary>
    public string Push(byte value)
    {
        Span<char> chars = stackalloc char[4];
        held.Append(chars[..decoder.GetChars([value], chars, flush: false)]);
        return Sendable();
    }

    /// <summary>The end: what was held back, an unfinished character as U+FFFD.</summary>
    public string Finish()
    {
        if (Stopped) return "";
        Span<char> chars = stackalloc char[4];
        held.Append(chars[..decoder.GetChars([], chars, flush: true)]);
        var rest = held.ToString();
        held.Clear();
        return rest;
    }

    private string Sendable()
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

    /// <summary>Length of the longest end of the text that a stop string begins with.</summary>
    private static int Overlap(string text, string stop)
    {
        for (var n = Math.Min(text.Length, stop.Length - 1); n > 0; n--)
            if (text.EndsWith(stop[..n], StringComparison.Ordinal)) return n;
        return 0;
    }
}
