using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.RegularExpressions;

namespace Sluice.Domain.Gpus;

/// <summary>
/// The compute capability of a GPU, for example <c>9.0</c> for Hopper (developer.nvidia.com/cuda-gpus).
/// </summary>
[JsonConverter(typeof(ComputeCapabilityConverter))]
public readonly partial record struct ComputeCapability(int Major, int Minor) : IComparable<ComputeCapability>
{
    /// <summary>Parses <c>8.9</c>, <c>10.0</c>, or <c>8</c> for 8.0. Returns null if the text is invalid.</summary>
    public static ComputeCapability? Parse(string text) => Form().Match(text) is { Success: true } match
        ? new(Int(match.Groups[1].Value), match.Groups[2].Success ? Int(match.Groups[2].Value) : 0)
        : null;

    public int CompareTo(ComputeCapability other) => (Major, Minor).CompareTo((other.Major, other.Minor));

    public static bool operator <(ComputeCapability a, ComputeCapability b) => a.CompareTo(b) < 0;

    public static bool operator >(ComputeCapability a, ComputeCapability b) => a.CompareTo(b) > 0;

    public static bool operator <=(ComputeCapability a, ComputeCapability b) => a.CompareTo(b) <= 0;

    public static bool operator >=(ComputeCapability a, ComputeCapability b) => a.CompareTo(b) >= 0;

    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{Major}.{Minor}");

    private static int Int(string digits) => int.Parse(digits, CultureInfo.InvariantCulture);

    [GeneratedRegex(@"^(\d{1,2})(?:\.(\d{1,2}))?\z")]
    private static partial Regex Form();
}

/// <summary>Converts compute capabilities from and to JSON and YAML: <c>8.9</c>, as a number or a string.</summary>
public sealed class ComputeCapabilityConverter : JsonConverter<ComputeCapability>
{
    public override ComputeCapability Read(
        ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
        (reader.TokenType switch
        {
            JsonTokenType.String => ComputeCapability.Parse(reader.GetString()!),
            // Parses the original text: 8.10 and 8.1 are the same number, but different compute capabilities.
            JsonTokenType.Number => ComputeCapability.Parse(System.Text.Encoding.UTF8.GetString(reader.ValueSpan)),
            _ => null,
        }) ?? throw new JsonException("a compute capability like 7.0, 8.9 or 10.0");

    public override void Write(Utf8JsonWriter writer, ComputeCapability value, JsonSerializerOptions options) =>
        writer.WriteStringValue(value.ToString());
}
