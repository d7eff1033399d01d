using System.Text.Json;
using Sluice.Worker.Runtime;

namespace Sluice.Worker.Generation;

/// <summary>
/// A generation's parameters: in <c>parameters</c>, or beside it, where clients of Triton and TensorRT-LLM have them. Each is in one of the two. One that
/// is not known is refused, unless it asks for nothing: those clients send <c>"bad_words":""</c> along.
/// </summary>
internal sealed class GenerationParameters
{
    private const int MaxStops = 16;
    private const int MaxStopLength = 256;

    private static readonly string[] Known = ["max_tokens", "temperature", "top_k", "top_p", "seed", "stop", "stream", "ignore_eos", "details"];
    private static readonly string[] Keys = ["id", "text_input", "parameters"];

    private readonly Dictionary<string, (string Field, JsonElement Value)> given = [];

    /// <summary>Takes them from a request.</summary>
    /// <param name="body">An object.</param>
    /// <param name="others">Keys of it that are somebody else's.</param>
    public GenerationParameters(JsonElement body, IReadOnlyList<string> others)
    {
        foreach (var key in body.EnumerateObject())
            if (!Keys.Contains(key.Name) && !others.Contains(key.Name)) Take(key, key.Name);
        if (!body.TryGetProperty("parameters", out var within)) return;
        if (within.ValueKind != JsonValueKind.Object) throw Wrong("parameters", within, "an object");
        foreach (var parameter in within.EnumerateObject())
        {
            if (given.TryGetValue(parameter.Name, out var beside) && beside.Field == parameter.Name)
                throw new InvalidRequestException($"{parameter.Name} is given twice, in parameters and beside it, expected in one of them");
            Take(parameter, "parameters." + parameter.Name);
        }
    }

    public ulong Whole(string name, ulong least, ulong most, ulong otherwise)
    {
        if (!TryGet(name, out var field, out var value)) return otherwise;
        return value.ValueKind == JsonValueKind.Number && value.TryGetUInt64(out var n) && n >= least && n <= most
            ? n : throw Wrong(field, value, $"a whole number from {least} to {most}");
    }

    /// <summary>How many; 0, or -1 as vLLM has it, is all.</summary>
    public int Count(string name)
    {
        if (!TryGet(name, out var field, out var value)) return 0;
        return value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out var n) && n >= -1
            ? Math.Max(0, n) : throw Wrong(field, value, $"a whole number from 1 to {int.MaxValue}, or 0 for all");
    }

    public double Number(string name, double least, double most, double otherwise)
    {
        if (!TryGet(name, out var field, out var value)) return otherwise;
        return value.ValueKind == JsonValueKind.Number && value.TryGetDouble(out var n) && n >= least && n <= most
            ? n : throw Wrong(field, value, $"a number from {least} to {most}");
    }

    public bool Flag(string name)
    {
        if (!TryGet(name, out var field, out var value)) return false;
        return value.ValueKind is JsonValueKind.True or JsonValueKind.False
            ? value.GetBoolean() : throw Wrong(field, value, "true or false");
    }

    public IReadOnlyList<string> Stops(string name)
    {
        if (!TryGet(name, out var field, out var value)) return [];
        var list = value.ValueKind switch
        {
            JsonValueKind.String => [value],
            JsonValueKind.Array => value.EnumerateArray().ToArray(),
            _ => throw Wrong(field, value, "a string or a list of strings"),
        };
        var fits = list.Length <= MaxStops && list.All(s => s.ValueKind == JsonValueKind.String
            && s.GetString()!.Length is > 0 and <= MaxStopLength);
        return fits ? [.. list.Select(s => s.GetString()!)] : throw Wrong(field, value,
            $"at most {MaxStops} strings of 1 to {MaxStopLength} characters");
    }

    public static InvalidRequestException Wrong(string field, JsonElement value, string expected)
    {
        var text = value.GetRawText();
        return new InvalidRequestException(
            $"{field} is {(text.Length > 60 ? text[..57] + "..." : text)}, expected {expected}");
    }

    private void Take(JsonProperty parameter, string field)
    {
        if (Known.Contains(parameter.Name)) given[parameter.Name] = (field, parameter.Value);
        else if (!AsksForNothing(parameter.Value))
            throw new InvalidRequestException($"{field} is not known, expected some of {string.Join(", ", Known)}");
    }

    private static bool AsksForNothing(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.Null => true,
        JsonValueKind.String => value.ValueEquals(""u8),
        JsonValueKind.Array => value.GetArrayLength() == 0,
        _ => false,
    };

    private bool TryGet(string name, out string field, out JsonElement value)
    {
        var found = given.TryGetValue(name, out var parameter);
        (field, value) = parameter;
        return found && value.ValueKind != JsonValueKind.Null;
    }
}
