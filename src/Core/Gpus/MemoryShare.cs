using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.RegularExpressions;

namespace Sluice.Core.Gpus;

/// <summary>A part of a GPU's memory, so that several pods can have one GPU: of its size, or in MiB.</summary>
/// <param name="Percent">Percent of the GPU's memory, 1 to 100; 0: in MiB.</param>
/// <param name="MiB">MiB; 0: in percent.</param>
[JsonConverter(typeof(MemoryShareConverter))]
public readonly partial record struct MemoryShare(int Percent, long MiB)
{
    public const string Expected = "a part of a GPU's memory: 1% to 100%, or a size like 512MiB or 12GiB";

    /// <summary>Null: it is none.</summary>
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

    /// <summary>MiB of a GPU with this much memory.</summary>
    public long Of(long memoryMiB) => Percent > 0 ? memoryMiB * Percent / 100 : MiB;

    public override string ToString() => Percent > 0 ? string.Create(CultureInfo.InvariantCulture, $"{Percent}%") : Size.Text(MiB);

    [GeneratedRegex("^([0-9]{1,7}) ?(%|MiB|GiB)\\z")]
    private static partial Regex Form();
}

/// <summary>Sizes of memory, told to people.</summary>
internal static class Size
{
    /// <summary>GiB where they are whole or many, else MiB.</summary>
    public static string Text(long mib) => mib >= 1024
        ? string.Create(CultureInfo.InvariantCulture, $"{mib / 1024.0:0.#}GiB") : string.Create(CultureInfo.InvariantCulture, $"{mib}MiB");
}

/// <summary>Shares in JSON and YAML.</summary>
public sealed class MemoryShareConverter : JsonConverter<MemoryShare>
{
    public override MemoryShare Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
        (reader.TokenType == JsonTokenType.String ? MemoryShare.Parse(reader.GetString()!) : null) ?? throw new JsonException(MemoryShare.Expected);

    /// <summary>Exact, so that what was written is what is read.</summary>
    public override void Write(Utf8JsonWriter writer, MemoryShare value, JsonSerializerOptions options) => writer.WriteStringValue(value.Percent > 0
        ? string.Create(CultureInfo.InvariantCulture, $"{value.Percent}%")
        : string.Create(CultureInfo.InvariantCulture, $"{value.MiB}MiB"));
}
