using System.Text.Json;
using System.Text.Json.Serialization;

namespace Sluice.Domain.Notation;

/// <summary>Converts durations from and to JSON and YAML.</summary>
public sealed class DurationConverter : JsonConverter<TimeSpan>
{
    public override TimeSpan Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
        reader.TokenType == JsonTokenType.String && Duration.TryParse(reader.GetString()!, out var value)
            ? value : throw new JsonException(Duration.Expected);

    public override void Write(Utf8JsonWriter writer, TimeSpan value, JsonSerializerOptions options) =>
        writer.WriteStringValue(Duration.Format(value));
}
