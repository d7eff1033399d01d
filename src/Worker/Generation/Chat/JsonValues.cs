using System.Text.Json;
using Sluice.Worker.Generation.Chat.Jinja.Values;

namespace Sluice.Worker.Generation.Chat;

/// <summary>Converts JSON to values of a template.</summary>
/// <param name="protect">Separates the characters of special tokens in strings and names.</param>
internal sealed class JsonValues(Func<string, string> protect)
{
    /// <summary>Returns the value of a JSON element.</summary>
    public Value Convert(JsonElement element) => element.ValueKind switch
    {
        JsonValueKind.String => new StringValue(protect(element.GetString()!)),
        JsonValueKind.Number => NumberValue.From(element.GetDouble()),
        JsonValueKind.True => BooleanValue.From(true),
        JsonValueKind.False => BooleanValue.From(false),
        JsonValueKind.Array => new ListValue([.. element.EnumerateArray().Select(Convert)]),
        JsonValueKind.Object => ConvertObject(element),
        JsonValueKind.Null => NullValue.Instance,
        _ => UndefinedValue.Instance,
    };

    private MappingValue ConvertObject(JsonElement element)
    {
        var entries = new OrderedDictionary<string, Value>();
        foreach (var property in element.EnumerateObject()) entries[protect(property.Name)] = Convert(property.Value);
        return new MappingValue(entries);
    }
}
