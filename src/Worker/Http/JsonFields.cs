using System.Text.Json;
using Sluice.Worker.Tensors;

namespace Sluice.Worker.Http;

/// <summary>
/// Reads request fields of a required JSON type. A field of another type causes status 400 with the name of the field.
/// </summary>
internal static class JsonFields
{
    /// <summary>Checks the type of the current token.</summary>
    public static void Expect(this in Utf8JsonReader reader, JsonTokenType token, string field, string expected)
    {
        if (reader.TokenType != token)
            throw new InvalidRequestException(
                $"Unable to parse '{field}': it is '{reader.TokenType}'; expected {expected}.");
    }

    /// <summary>Moves to the next token, which must be a string. The string is not decoded.</summary>
    public static void ReadText(this ref Utf8JsonReader reader, string field)
    {
        if (!reader.Read()) throw new JsonException();
        reader.Expect(JsonTokenType.String, field, "a string");
    }

    /// <summary>Reads a string.</summary>
    public static string ReadString(this ref Utf8JsonReader reader, string field)
    {
        reader.ReadText(field);
        return reader.GetString()!;
    }

    /// <summary>Reads a boolean.</summary>
    public static bool ReadBool(this ref Utf8JsonReader reader, string field)
    {
        if (!reader.Read()) throw new JsonException();
        if (reader.TokenType is not (JsonTokenType.True or JsonTokenType.False))
            throw new InvalidRequestException($"'{field}' must be true or false.");
        return reader.GetBoolean();
    }

    /// <summary>Reads a whole number from <paramref name="least"/> to <paramref name="most"/>.</summary>
    public static long ReadNumber(this ref Utf8JsonReader reader, string field, long least, long most)
    {
        if (!reader.Read()) throw new JsonException();
        if (reader.TokenType == JsonTokenType.Number && reader.TryGetInt64(out var n) && n >= least && n <= most)
            return n;
        throw new InvalidRequestException($"'{field}' must be a whole number from {least} to {most}.");
    }

    /// <summary>Moves to the start of a list.</summary>
    public static void ReadList(this ref Utf8JsonReader reader, string field)
    {
        if (!reader.Read()) throw new JsonException();
        reader.Expect(JsonTokenType.StartArray, field, "a list");
    }

    /// <summary>Moves to the start of an object.</summary>
    public static void ReadObject(this ref Utf8JsonReader reader, string field)
    {
        if (!reader.Read()) throw new JsonException();
        reader.Expect(JsonTokenType.StartObject, field, "an object");
    }

    /// <summary>
    /// Skips the next value and returns its text. A list of numbers is not parsed: its end is found by its brackets,
    /// and the reader continues there as after an empty list. Errors inside the list are reported when the tensor is
    /// read.
    /// </summary>
    /// <param name="reader">A reader at the position before the value.</param>
    /// <param name="json">The document.</param>
    /// <param name="offset">Position in the document at which the reader started, in bytes.</param>
    public static ReadOnlyMemory<byte> SkipValue(
        this ref Utf8JsonReader reader,
        ReadOnlyMemory<byte> json,
        ref int offset)
    {
        if (TrySkipBare(ref reader, json, ref offset, out var bare)) return bare;
        if (!reader.Read()) throw new JsonException();
        var start = offset + (int)reader.TokenStartIndex;
        if (reader.TokenType == JsonTokenType.StartArray && NumberList.FindEnd(json.Span, start) is var end and > 0)
        {
            reader = new Utf8JsonReader(json.Span[end..], isFinalBlock: true, reader.CurrentState);
            offset = end;
            if (!reader.Read() || reader.TokenType != JsonTokenType.EndArray) throw new JsonException();
        }
        else
        {
            reader.Skip();
        }

        return json[start..(offset + (int)reader.BytesConsumed)];
    }

    /// <summary>Skips a value that is an unquoted NaN or infinity, which the reader does not support.</summary>
    private static bool TrySkipBare(
        ref Utf8JsonReader reader,
        ReadOnlyMemory<byte> json,
        ref int offset,
        out ReadOnlyMemory<byte> value)
    {
        var start = offset + (int)reader.BytesConsumed;
        while (start < json.Length && json.Span[start] is (byte)' ' or (byte)'\n' or (byte)'\r' or (byte)'\t') start++;
        var length = BareNumbers.LengthAt(json.Span[start..]);
        value = json.Slice(start, length);
        if (length == 0) return false;
        // A string in place of the value moves the reader to the state that it has after a value.
        var replaced = new Utf8JsonReader("\"\""u8, isFinalBlock: false, reader.CurrentState);
        replaced.Read();
        offset = start + length;
        reader = new Utf8JsonReader(json.Span[offset..], isFinalBlock: true, replaced.CurrentState);
        return true;
    }
}
