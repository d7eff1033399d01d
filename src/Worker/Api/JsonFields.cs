using System.Text.Json;
using Sluice.Worker.Runtime;

namespace Sluice.Worker.Api;

/// <summary>Fields of a request as it is walked, each of the kind that it must have; else 400 with its name.</summary>
internal static class JsonFields
{
    public static void Expect(this in Utf8JsonReader reader, JsonTokenType token, string field, string wanted)
    {
        if (reader.TokenType != token)
            throw new InvalidRequestException($"Unable to parse '{field}': it is {reader.TokenType}, expected {wanted}");
    }

    public static void ReadText(this ref Utf8JsonReader reader, string field)
    {
        if (!reader.Read()) throw new JsonException();
        reader.Expect(JsonTokenType.String, field, "a string");
    }

    public static string ReadString(this ref Utf8JsonReader reader, string field)
    {
        reader.ReadText(field);
        return reader.GetString()!;
    }

    public static bool ReadBool(this ref Utf8JsonReader reader, string field)
    {
        if (!reader.Read()) throw new JsonException();
        if (reader.TokenType is not (JsonTokenType.True or JsonTokenType.False))
            throw new InvalidRequestException($"'{field}' must be true or false");
        return reader.GetBoolean();
    }

    public static long ReadNumber(this ref Utf8JsonReader reader, string field, long least, long most)
    {
        if (!reader.Read()) throw new JsonException();
        if (reader.TokenType == JsonTokenType.Number && reader.TryGetInt64(out var n) && n >= least && n <= most) return n;
        throw new InvalidRequestException($"'{field}' must be a whole number from {least} to {most}");
    }

    public static void ReadList(this ref Utf8JsonReader reader, string field)
    {
        if (!reader.Read()) throw new JsonException();
        reader.Expect(JsonTokenType.StartArray, field, "a list");
    }

    public static void ReadObject(this ref Utf8JsonReader reader, string field)
    {
        if (!reader.Read()) throw new JsonException();
        reader.Expect(JsonTokenType.StartObject, field, "an object");
    }

    /// <summary>Passes over the next value and returns its text. A list of numbers is not looked at here: its end is found by its brackets, and the
    /// reader goes on there as if it had been empty. What is wrong inside is found when it is read.</summary>
    /// <param name="reader">Before the value.</param>
    /// <param name="json">The document.</param>
    /// <param name="offset">Where in it this reader began.</param>
    public static ReadOnlyMemory<byte> SkipValue(this ref Utf8JsonReader reader, ReadOnlyMemory<byte> json, ref int offset)
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

    /// <summary>Passes over a value that is a bare NaN or infinity, which the reader does not know.</summary>
    private static bool TrySkipBare(ref Utf8JsonReader reader, ReadOnlyMemory<byte> json, ref int offset, out ReadOnlyMemory<byte> value)
    {
        var start = offset + (int)reader.BytesConsumed;
        while (start < json.Length && json.Span[start] is (byte)' ' or (byte)'\n' or (byte)'\r' or (byte)'\t') start++;
        var length = BareNumbers.LengthAt(json.Span[start..]);
        value = json.Slice(start, length);
        if (length == 0) return false;
        // A string in its place leaves the reader in the state that it has behind a value.
        var replaced = new Utf8JsonReader("\"\""u8, isFinalBlock: false, reader.CurrentState);
        replaced.Read();
        offset = start + length;
        reader = new Utf8JsonReader(json.Span[offset..], isFinalBlock: true, replaced.CurrentState);
        return true;
    }
}
