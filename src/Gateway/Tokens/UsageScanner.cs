using System.Diagnostics;
using System.Text.Json;

namespace Sluice.Gateway.Tokens;

/// <summary>
/// Finds the usage in the response of a worker that does not report it to the gateway: the last object <c>usage</c> of
/// the body, and the number of events with data, which is about the number of tokens. The bytes are passed in as they
/// arrive. Not thread-safe.
/// </summary>
public sealed class UsageScanner
{
    /// <summary>The bytes at the end of a response in which the usage is searched: it is the last field.</summary>
    private const int TailBytes = 4096;

    private static ReadOnlySpan<byte> Field => "\"usage\""u8;

    private readonly byte[] tail = new byte[2 * TailBytes];
    private int length;
    private int matched;

    /// <summary>Number of events with an object.</summary>
    public long Events { get; private set; }

    /// <summary>When the first event with an object arrived, as a timestamp; null: none did.</summary>
    public long? FirstAt { get; private set; }

    /// <summary>Adds the next bytes.</summary>
    public void Add(ReadOnlySpan<byte> bytes)
    {
        CountEvents(bytes);
        if (bytes.Length >= TailBytes)
        {
            bytes[^TailBytes..].CopyTo(tail);
            length = TailBytes;
            return;
        }

        if (length + bytes.Length > tail.Length)
        {
            tail.AsSpan(length - TailBytes, TailBytes).CopyTo(tail);
            length = TailBytes;
        }

        bytes.CopyTo(tail.AsSpan(length));
        length += bytes.Length;
    }

    /// <summary>Returns the usage that the response ends with; null: it has none.</summary>
    public TokenUsage? FindUsage()
    {
        var rest = tail.AsSpan(0, length);
        while (rest.LastIndexOf(Field) is var at and >= 0)
        {
            // In the text of a string, the quotes have a backslash.
            if ((at == 0 || rest[at - 1] != (byte)'\\') && Parse(tail.AsSpan(at, length - at)) is { } usage)
                return usage;
            rest = rest[..at];
        }

        return null;
    }

    private static TokenUsage? Parse(ReadOnlySpan<byte> text)
    {
        text = text[Field.Length..].TrimStart(" \t\r\n"u8);
        if (text.IsEmpty || text[0] != (byte)':') return null;
        var reader = new Utf8JsonReader(text[1..], isFinalBlock: false, default);
        try
        {
            if (!JsonDocument.TryParseValue(ref reader, out var document)) return null;
            using (document) return Read(document.RootElement);
        }
        catch (JsonException)
        {
            return null;
        }
    }

    private static TokenUsage? Read(JsonElement usage)
    {
        if (usage.ValueKind != JsonValueKind.Object) return null;
        var prompt = Number(usage, "prompt_tokens") ?? Number(usage, "input_tokens");
        var generated = Number(usage, "completion_tokens") ?? Number(usage, "output_tokens");
        var details = usage.TryGetProperty("prompt_tokens_details", out var d)
            || usage.TryGetProperty("input_tokens_details", out d) ? d : default;
        var cached = details.ValueKind == JsonValueKind.Object ? Number(details, "cached_tokens") : null;
        return prompt is { } p ? new TokenUsage(p, cached ?? 0, generated ?? 0) : null;
    }

    private static long? Number(JsonElement element, string name) =>
        element.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.Number
        && value.TryGetInt64(out var number) && number is >= 0 and <= int.MaxValue ? number : null;

    /// <summary>
    /// Counts the lines <c>data: {</c>. <c>matched</c> is the place in a line; negative: the line is another one.
    /// </summary>
    private void CountEvents(ReadOnlySpan<byte> bytes)
    {
        var field = "data:"u8;
        while (!bytes.IsEmpty)
        {
            if (matched < 0)
            {
                var end = bytes.IndexOf((byte)'\n');
                if (end < 0) return;
                bytes = bytes[(end + 1)..];
                matched = 0;
                continue;
            }

            var next = bytes[0];
            if (matched == field.Length && next == (byte)'{')
            {
                Events++;
                FirstAt ??= Stopwatch.GetTimestamp();
                matched = -1;
            }
            else if (next == (byte)'\n') matched = 0;
            else if (matched < field.Length && next == field[matched]) matched++;
            else if (matched != field.Length || next != (byte)' ') matched = -1;
            bytes = bytes[1..];
        }
    }
}
