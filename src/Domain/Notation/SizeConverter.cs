using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Sluice.Domain.Notation;

/// <summary>
/// Converts sizes from and to JSON and YAML: a number of bytes, or <c>64MiB</c>, <c>512KiB</c>, <c>2GiB</c>.
/// </summary>
public sealed class SizeConverter : JsonConverter<long>
{
    /// <summary>The expected form of a size, for error messages.</summary>
    public const string Expected = "a number of bytes, or a size like 512KiB, 64MiB or 2GiB";

    private static readonly (string Unit, int Shift)[] Units = [("KiB", 10), ("MiB", 20), ("GiB", 30)];

    public override long Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options)
    {
        if (reader.TokenType == JsonTokenType.Number && reader.TryGetInt64(out var bytes)) return bytes;
        if (reader.TokenType == JsonTokenType.String)
        {
            var text = reader.GetString()!;
            foreach (var (unit, shift) in Units)
                if (text.EndsWith(unit, StringComparison.Ordinal) && long.TryParse(text[..^3].Trim(),
                    NumberStyles.None, CultureInfo.InvariantCulture, out var n) && n < 1L << (62 - shift))
                    return n << shift;
        }

        throw new JsonException(Expected);
    }

    public override void Write(Utf8JsonWriter writer, long value, JsonSerializerOptions options) =>
        writer.WriteNumberValue(value);
}
