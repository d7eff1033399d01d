using System.Text.Json;
using System.Text.Json.Serialization;

namespace Sluice.Domain.Notation;

/// <summary>
/// Converts enum values from and to the names that operators use: <c>REQUEST_COUNT</c>, <c>h2c</c>. Case is ignored,
/// and a dash equals an underscore.
/// </summary>
public abstract class NamedConverter<T>(params (string Name, T Value)[] names) : JsonConverter<T>
    where T : struct, Enum
{
    public override T Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options)
    {
        if (reader.TokenType == JsonTokenType.String)
        {
            var given = reader.GetString()!.Replace('-', '_');
            foreach (var (name, value) in names)
                if (name.Equals(given, StringComparison.OrdinalIgnoreCase)) return value;
        }

        throw new JsonException("one of " + string.Join(", ", names.Select(n => n.Name)));
    }

    public override void Write(Utf8JsonWriter writer, T value, JsonSerializerOptions options) =>
        writer.WriteStringValue(GetName(value));

    /// <summary>Returns the name of a value.</summary>
    public string GetName(T value) => names.First(n => n.Value.Equals(value)).Name;
}
