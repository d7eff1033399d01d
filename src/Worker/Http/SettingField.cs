using System.Globalization;
using System.Text.Json;
using Sluice.Worker.Tensors;

namespace Sluice.Worker.Http;

/// <summary>One setting and its new value.</summary>
internal readonly record struct SettingField(string Name, JsonElement Value)
{
    /// <summary>Reads a boolean.</summary>
    public bool ReadBool() => Value.ValueKind switch
    {
        JsonValueKind.True => true,
        JsonValueKind.False => false,
        _ => throw InvalidValue("true or false"),
    };

    /// <summary>
    /// Reads a number. A string that contains a number is accepted too, because Triton's clients send both.
    /// </summary>
    public int ReadNumber(int least, int most)
    {
        var text = Value.ValueKind switch
        {
            JsonValueKind.Number => Value.GetRawText(),
            JsonValueKind.String => Value.GetString()!,
            _ => "",
        };
        return int.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var n)
            && n >= least
            && n <= most
            ? n
            : throw InvalidValue(
                string.Create(CultureInfo.InvariantCulture, $"a whole number from {least} to {most}"));
    }

    /// <summary>Reads a string that must be one of the given values.</summary>
    public string ReadChoice(params string[] known)
    {
        var text = Value.ValueKind == JsonValueKind.String ? Value.GetString()! : "";
        return known.Contains(text) ? text : throw InvalidValue(string.Join(" or ", known));
    }

    /// <summary>The error for a wrong value.</summary>
    public InvalidRequestException InvalidValue(string expected) =>
        new($"'{Name}' is '{SettingFields.Truncate(Value)}'; expected {expected}.");

    /// <summary>The error for a setting that does not exist.</summary>
    public InvalidRequestException UnknownField(string known) =>
        new($"'{Name}' is not a setting; expected one of {known}.");
}
