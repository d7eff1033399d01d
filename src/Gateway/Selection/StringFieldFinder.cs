using System.Buffers;
using System.Text.Json;

namespace Sluice.Gateway.Selection;

/// <summary>
/// Finds a string field of a JSON object whose bytes arrive in parts. Each byte is parsed about once: parsing continues
/// where it ended, and an incomplete token is parsed again only after its bytes have doubled. A field with the same
/// name in a nested object is ignored. If the object repeats the field, its first value counts.
/// </summary>
/// <param name="field">The name of the field.</param>
public sealed class StringFieldFinder(string field)
{
    private JsonReaderState state = new(new JsonReaderOptions { MaxDepth = 256 });
    private long parsed;
    private long tried;
    private bool isValueNext;

    /// <summary>The value of the field after <see cref="FieldStatus.Found"/>.</summary>
    public string? Value { get; private set; }

    /// <summary>The reason for <see cref="FieldStatus.Invalid"/>.</summary>
    public string? Error { get; private set; }

    /// <summary>The number of bytes that were given to the parser; a byte that was parsed twice counts twice.</summary>
    internal long BytesParsed { get; private set; }

    /// <summary>Continues the search.</summary>
    /// <param name="body">All bytes of the body that have arrived, from its first byte.</param>
    /// <param name="isComplete">Whether the body ends with these bytes.</param>
    public FieldStatus Search(ReadOnlySequence<byte> body, bool isComplete)
    {
        var rest = body.Slice(parsed);
        if (!isComplete && rest.Length < 2 * tried) return FieldStatus.NeedsMore;
        BytesParsed += rest.Length;
        var reader = new Utf8JsonReader(rest, isComplete, state);
        try
        {
            while (reader.Read())
            {
                if (Examine(ref reader) is { } result) return result;
            }
        }
        // A string that is not valid UTF-8 throws InvalidOperationException.
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            Error = e.Message;
            return FieldStatus.Invalid;
        }

        state = reader.CurrentState;
        parsed += reader.BytesConsumed;
        tried = rest.Length - reader.BytesConsumed;
        return FieldStatus.NeedsMore;
    }

    /// <summary>Examines one token. Null: the search continues.</summary>
    private FieldStatus? Examine(ref Utf8JsonReader reader)
    {
        if (isValueNext)
        {
            if (reader.TokenType != JsonTokenType.String) return FieldStatus.NotAString;
            Value = reader.GetString();
            return FieldStatus.Found;
        }

        switch (reader.TokenType, reader.CurrentDepth)
        {
            case (JsonTokenType.StartObject, 0):
                return null;
            case (JsonTokenType.EndObject, 0):
                return FieldStatus.Missing;
            case (JsonTokenType.PropertyName, 1):
                isValueNext = reader.ValueTextEquals(field);
                return null;
            case (_, 0):
                Error = $"The body is a JSON {reader.TokenType}.";
                return FieldStatus.Invalid;
            default:
                return null;
        }
    }
}
