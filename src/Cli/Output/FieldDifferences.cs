using System.Text.Json.Nodes;

namespace Sluice.Cli.Output;

/// <summary>Prints the differences of two objects by field. Pure.</summary>
internal static class FieldDifferences
{
    /// <summary>Returns a line for each field that differs: <c>- path: before</c>, <c>+ path: after</c>.</summary>
    public static IEnumerable<string> Lines(JsonNode? before, JsonNode? after, string path = "")
    {
        if (JsonNode.DeepEquals(before, after)) yield break;
        if (before is JsonObject or null && after is JsonObject or null && (before ?? after) is not null)
        {
            var (old, now) = (before as JsonObject ?? [], after as JsonObject ?? []);
            foreach (var name in old.Select(m => m.Key).Union(now.Select(m => m.Key)))
                foreach (var line in Lines(old[name], now[name], path.Length > 0 ? $"{path}.{name}" : name))
                    yield return line;
            yield break;
        }

        if (before is not null) yield return $"- {path}: {before.ToJsonString()}";
        if (after is not null) yield return $"+ {path}: {after.ToJsonString()}";
    }
}
