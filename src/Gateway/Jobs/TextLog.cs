using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json;
using Sluice.Gateway.Forwarding;

namespace Sluice.Gateway.Jobs;

/// <summary>
/// The log of a job that streams text, as its stream stores it. Its first entry is <c>{"resume": text}</c>, if the
/// worker announced that another one can continue the stream, and its last one is <c>{"end": true}</c>. Each other
/// entry has the chunks of a write and the marks of their parts: <c>{"marks": text, "chunks": [..]}</c>. A chunk has
/// only the fields that readers need. Pure.
/// </summary>
/// <param name="Entries">The number of entries.</param>
/// <param name="Announced">The value of the worker; null: it announced none.</param>
/// <param name="Marks">The marks of all parts.</param>
/// <param name="IsMarked">Whether each part has its mark.</param>
/// <param name="IsEnded">Whether the text is complete.</param>
internal sealed record TextLog(int Entries, string? Announced, byte[] Marks, bool IsMarked, bool IsEnded)
{
    /// <summary>The fields of a chunk that are stored, if they have a value.</summary>
    private static readonly string[] Kept = ["choices", "usage", "error"];

    /// <summary>A log without entries.</summary>
    public static TextLog Empty { get; } = new(0, null, [], true, false);

    /// <summary>The last entry.</summary>
    public static byte[] End { get; } = Write(json => json.WriteBoolean("end", true));

    /// <summary>Whether readers have a part of the text. Otherwise, another attempt starts again.</summary>
    public bool HasText => Marks.Length > 0 || !IsMarked;

    /// <summary>Whether another attempt can complete the text.</summary>
    public bool CanContinue => !HasText || (Announced is not null && IsMarked);

    /// <summary>Returns the log with further entries.</summary>
    public TextLog With(IReadOnlyList<byte[]> entries)
    {
        var (announced, marks, isMarked, isEnded) = (Announced, new MemoryStream(), IsMarked, IsEnded);
        marks.Write(Marks);
        foreach (var entry in entries)
        {
            using var document = JsonDocument.Parse(entry, new JsonDocumentOptions { MaxDepth = 512 });
            if (document.RootElement.TryGetProperty("resume", out var resume)) announced = resume.GetString();
            else if (document.RootElement.TryGetProperty("marks", out var text))
                marks.Write(Encoding.Latin1.GetBytes(text.GetString()!));
            else if (document.RootElement.TryGetProperty("end", out _)) isEnded = true;
            else isMarked = false;
        }

        return new TextLog(Entries + entries.Count, announced, marks.ToArray(), isMarked, isEnded);
    }

    /// <summary>
    /// Returns the value by which a worker says that another one can continue its stream; null: none.
    /// </summary>
    public static string? AnnouncedBy(HttpResponseMessage answer) =>
        answer.Headers.NonValidated.TryGetValues(ResumableStream.Header, out var values)
            && values.ToString() is { Length: > 0 and <= ResumableStream.MaxAnnouncedLength } announced
            ? announced : null;

    /// <summary>Returns the entry with the value of the worker.</summary>
    public static byte[] Head(string announced) => Write(json => json.WriteString("resume", announced));

    /// <summary>Returns an entry with chunks.</summary>
    /// <param name="marks">The marks of their parts; null: they have none.</param>
    /// <param name="chunks">The data of the events.</param>
    /// <exception cref="InvalidDataException">A chunk is not a JSON object.</exception>
    public static byte[] Entry(ReadOnlyMemory<byte>? marks, IEnumerable<byte[]> chunks) => Write(json =>
    {
        if (marks is { } known) json.WriteString("marks", Encoding.Latin1.GetString(known.Span));
        json.WriteStartArray("chunks");
        foreach (var chunk in chunks) WriteChunk(json, chunk);
        json.WriteEndArray();
    });

    private static void WriteChunk(Utf8JsonWriter json, byte[] chunk)
    {
        try
        {
            using var document = JsonDocument.Parse(chunk, new JsonDocumentOptions { MaxDepth = 500 });
            if (document.RootElement.ValueKind != JsonValueKind.Object)
                throw new InvalidDataException("The worker sent an event that is not a JSON object.");
            json.WriteStartObject();
            foreach (var name in Kept)
            {
                if (!document.RootElement.TryGetProperty(name, out var value)
                    || value.ValueKind == JsonValueKind.Null) continue;
                json.WritePropertyName(name);
                json.WriteRawValue(JsonMarshal.GetRawUtf8Value(value), skipInputValidation: true);
            }

            json.WriteEndObject();
        }
        catch (JsonException e)
        {
            throw new InvalidDataException($"The worker sent an event that is not valid JSON: {e.Message}");
        }
    }

    private static byte[] Write(Action<Utf8JsonWriter> write)
    {
        using var bytes = new MemoryStream();
        using (var json = new Utf8JsonWriter(bytes, JobView.Options))
        {
            json.WriteStartObject();
            write(json);
            json.WriteEndObject();
        }

        return bytes.ToArray();
    }
}
