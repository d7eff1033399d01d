using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.RegularExpressions;

namespace Sluice.Domain.Notation;

/// <summary>A part of a GPU's memory, in percent or in MiB, so that several pods can share one GPU.</summary>
/// <param name="Percent">Percentage of the GPU's memory, 1 to 100; 0 if the share is in MiB.</param>
/// <param name="MiB">MiB; 0 if the share is a percentage.</param>
[JsonConverter(typeof(MemoryShareConverter))]
public readonly partial record struct MemoryShare(int Percent, long MiB)
{
    /// <summary>The expected form of a share, for error messages.</summary>
    public const string Expected = "a part of a GPU's memory: 1% to 100%, or a size like 512MiB or 12GiB";

    /// <summary>Parses a share. Returns null if the text is invalid.</summary>
    public static MemoryShare? Parse(string text)
    {
        if (Form().Match(text) is not { Success: true } match) return null;
        var n = int.Parse(match.Groups[1].Value, CultureInfo.InvariantCulture);
        return match.Groups[2].Value switch
        {
            _ when n == 0 => null,
            "%" => n <= 100 ? new(n, 0) : null,
            "GiB" => new(0, n * 1024L),
            _ => new(0, n),
        };
    }

    /// <summary>Returns the size of the share in MiB for a GPU with this much memory.</summary>
    public long ToMiB(long memoryMiB) => Percent > 0 ? memoryMiB * Percent / 100 : MiB;

    public override string ToString() =>
        Percent > 0 ? string.Create(CultureInfo.InvariantCulture, $"{Percent}%") : Size.Format(MiB);

    [GeneratedRegex("^([0-9]{1,7}) ?(%|MiB|GiB)\\z")]
    private static partial Regex Form();
}

/// <summary>Converts shares from and to JSON and YAML.</summary>
public sealed class MemoryShareConverter : JsonConverter<MemoryShare>
{
    public override MemoryShare Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
        (reader.TokenType == JsonTokenType.String ? MemoryShare.Parse(reader.GetString()!) : null)
        ?? throw new JsonException(MemoryShare.Expected);

    /// <summary>Writes the exact value, so that reading returns the written value.</summary>
    public override void Write(Utf8JsonWriter writer, MemoryShare value, JsonSerializerOptions options) =>
        writer.WriteStringValue(value.Percent > 0
            ? string.Create(CultureInfo.InvariantCulture, $"{value.Percent}%")
            : string.Create(CultureInfo.InvariantCulture, $"{value.MiB}MiB"));
}
