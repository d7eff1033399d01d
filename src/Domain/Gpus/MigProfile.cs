using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.RegularExpressions;

namespace Sluice.Domain.Gpus;

/// <summary>
/// A MIG profile, in NVIDIA's grammar <c>[Cc.]Gg.Mgb[(+|-)attribute...]</c>: <c>1g.10gb</c>, <c>1c.3g.40gb</c>,
/// <c>1g.10gb+me</c> (github.com/NVIDIA/go-nvlib). It is parsed by its form and not by a list, because new GPUs have
/// new profiles.
/// </summary>
/// <param name="Compute">Compute slices of a process (<c>C</c>; equal to <paramref name="Slices"/> if omitted).</param>
/// <param name="Slices">GPU slices, of 7 (4 on an A30 and an RTX PRO 6000).</param>
/// <param name="MemoryGb">Memory in GB, as rounded in the name of the profile.</param>
/// <param name="Attributes">Attributes such as media engines, as written and sorted: <c>+me</c>; empty if there is
/// none.</param>
[JsonConverter(typeof(MigProfileConverter))]
public sealed partial record MigProfile(int Compute, int Slices, int MemoryGb, string Attributes)
{
    /// <summary>The expected form of a profile, for error messages.</summary>
    public const string Expected = "a MIG profile like 1g.10gb, 3g.40gb or 1g.10gb+me";

    /// <summary>
    /// Approximate usable memory in MiB. The name rounds it: a 1g.10gb slice of an A100 has 9,728 MiB.
    /// </summary>
    public long MemoryMiB => MemoryGb * 1024L;

    /// <summary>Parses a profile. Returns null if the text is invalid.</summary>
    public static MigProfile? Parse(string text)
    {
        if (Form().Match(text) is not { Success: true } match) return null;
        var slices = Int(match.Groups[2].Value);
        var compute = match.Groups[1].Success ? Int(match.Groups[1].Value) : slices;
        var attributes = Attribute().Matches(match.Groups[4].Value).Select(a => a.Value).Order(StringComparer.Ordinal);
        return slices is 0 || compute is 0 || compute > slices
            ? null
            : new(compute, slices, Int(match.Groups[3].Value), string.Concat(attributes));
    }

    /// <summary>
    /// Whether a slice of this profile has at least the compute, the memory and the attributes of
    /// <paramref name="wanted"/>.
    /// </summary>
    public bool Covers(MigProfile wanted) => Compute >= wanted.Compute && MemoryGb >= wanted.MemoryGb
        && Attribute().Matches(wanted.Attributes)
            .All(a => a.Value[0] == '-' || Attributes.Contains(a.Value, StringComparison.Ordinal));

    public override string ToString() => string.Create(CultureInfo.InvariantCulture,
        $"{(Compute == Slices ? "" : $"{Compute}c.")}{Slices}g.{MemoryGb}gb{Attributes}");

    private static int Int(string digits) => int.Parse(digits, CultureInfo.InvariantCulture);

    [GeneratedRegex(@"^(?:(\d)c\.)?(\d)g\.(\d{1,4})gb((?:[+-][a-z][a-z.]*)*)\z")]
    private static partial Regex Form();

    [GeneratedRegex(@"[+-][a-z.]+")]
    private static partial Regex Attribute();
}

/// <summary>Converts MIG profiles from and to JSON and YAML.</summary>
public sealed class MigProfileConverter : JsonConverter<MigProfile>
{
    public override MigProfile Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
        (reader.TokenType == JsonTokenType.String ? MigProfile.Parse(reader.GetString()!) : null)
        ?? throw new JsonException(MigProfile.Expected);

    public override void Write(Utf8JsonWriter writer, MigProfile value, JsonSerializerOptions options) =>
        writer.WriteStringValue(value.ToString());
}
