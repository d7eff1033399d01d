using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.RegularExpressions;

namespace Sluice.Core.Gpus;

/// <summary>
/// A shape that a GPU can be cut into, by NVIDIA's grammar <c>[Cc.]Gg.Mgb[(+|-)attribute...]</c>: <c>1g.10gb</c>,
/// <c>1c.3g.40gb</c>, <c>1g.10gb+me</c> (github.com/NVIDIA/go-nvlib). Read by its form: new GPUs bring new profiles.
/// </summary>
/// <param name="Compute">Compute slices that a process gets (<c>C</c>; the same as <paramref name="Slices"/> where it is not written).</param>
/// <param name="Slices">GPU slices, of 7 (4 on an A30 and an RTX PRO 6000).</param>
/// <param name="MemoryGb">Memory, GB as the profile's name rounds it.</param>
/// <param name="Attributes">Media engines and the like, as written and in order: <c>+me</c>; empty for none.</param>
[JsonConverter(typeof(MigProfileConverter))]
public sealed partial record MigProfile(int Compute, int Slices, int MemoryGb, string Attributes)
{
    public const string Expected = "a MIG profile like 1g.10gb, 3g.40gb or 1g.10gb+me";

    /// <summary>About what a process can use, MiB: the name rounds it (a 1g.10gb of an A100 has 9,728 MiB).</summary>
    public long MemoryMiB => MemoryGb * 1024L;

    /// <summary>Null: it is no profile.</summary>
    public static MigProfile? Parse(string text)
    {
        if (Form().Match(text) is not { Success: true } match) return null;
        var slices = Int(match.Groups[2].Value);
        var compute = match.Groups[1].Success ? Int(match.Groups[1].Value) : slices;
        var attributes = Attribute().Matches(match.Groups[4].Value).Select(a => a.Value).Order(StringComparer.Ordinal);
        return slices is 0 || compute is 0 || compute > slices ? null : new(compute, slices, Int(match.Groups[3].Value), string.Concat(attributes));
    }

    /// <summary>Whether a slice of this shape has at least what <paramref name="wanted"/> has, its attributes included.</summary>
    public bool Covers(MigProfile wanted) => Compute >= wanted.Compute && MemoryGb >= wanted.MemoryGb
        && Attribute().Matches(wanted.Attributes).All(a => a.Value[0] == '-' || Attributes.Contains(a.Value, StringComparison.Ordinal));

    public override string ToString() => string.Create(CultureInfo.InvariantCulture,
        $"{(Compute == Slices ? "" : $"{Compute}c.")}{Slices}g.{MemoryGb}gb{Attributes}");

    private static int Int(string digits) => int.Parse(digits, CultureInfo.InvariantCulture);

    [GeneratedRegex(@"^(?:(\d)c\.)?(\d)g\.(\d{1,4})gb((?:[+-][a-z][a-z.]*)*)\z")]
    private static partial Regex Form();

    [GeneratedRegex(@"[+-][a-z.]+")]
    private static partial Regex Attribute();
}

/// <summary>MIG profiles in JSON and YAML.</summary>
public sealed class MigProfileConverter : JsonConverter<MigProfile>
{
    public override MigProfile Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
        (reader.TokenType == JsonTokenType.String ? MigProfile.Parse(reader.GetString()!) : null) ?? throw new JsonException(MigProfile.Expected);

    public override void Write(Utf8JsonWriter writer, MigProfile value, JsonSerializerOptions options) =>
        writer.WriteStringValue(value.ToString());
}
