using System.Text.Json;
using System.Text.Json.Nodes;

namespace Sluice.Testing;

/// <summary>A log entry of a gateway. Tests wait for names and fields, never for messages.</summary>
/// <param name="Name">The event name: the name of the method with the <c>LoggerMessage</c> attribute.</param>
/// <param name="Fields">The values of the placeholders of the message.</param>
public sealed record LogEvent(string Name, IReadOnlyDictionary<string, string> Fields)
{
    public string this[string field] => Fields.GetValueOrDefault(field, "");

    /// <summary>Reads a line of the format <c>SLUICE_LOG_FORMAT=json</c>; null if it is another text.</summary>
    public static LogEvent? Parse(string line)
    {
        if (!line.StartsWith("{\"Timestamp\"", StringComparison.Ordinal)) return null;
        try
        {
            var entry = JsonNode.Parse(line)!;
            var fields = entry["State"]?.AsObject() ?? [];
            return new LogEvent((string)entry["EventName"]!, fields.ToDictionary(f => f.Key, f => $"{f.Value}"));
        }
        catch (JsonException)
        {
            return null;
        }
    }

    /// <summary>Whether the entry has this name and these fields.</summary>
    public bool Is(string name, params (string Name, string Value)[] fields) =>
        Name == name && fields.All(f => this[f.Name] == f.Value);
}
