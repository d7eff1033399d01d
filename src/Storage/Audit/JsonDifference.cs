using System.Text.Json.Nodes;

namespace Sluice.Storage.Audit;

/// <summary>Finds what differs between two JSON objects. Pure.</summary>
public static class JsonDifference
{
    /// <summary>
    /// Returns the members that differ, with their values before and after. Objects are compared member by member,
    /// lists as a whole. A member that one side lacks is only on the other side.
    /// </summary>
    /// <param name="before">The object before the change; null if there was none.</param>
    /// <param name="after">The object after the change; null if there is none.</param>
    /// <returns>Copies. A side that is null stays null; two empty objects mean that nothing differs.</returns>
    public static (JsonObject? Before, JsonObject? After) Between(JsonObject? before, JsonObject? after)
    {
        if (before is null || after is null)
            return ((JsonObject?)before?.DeepClone(), (JsonObject?)after?.DeepClone());
        var (old, now) = (new JsonObject(), new JsonObject());
        foreach (var name in before.Select(m => m.Key).Union(after.Select(m => m.Key)))
        {
            var hasOld = before.TryGetPropertyValue(name, out var a);
            var hasNow = after.TryGetPropertyValue(name, out var b);
            if (hasOld && hasNow && JsonNode.DeepEquals(a, b)) continue;
            if (a is JsonObject inner && b is JsonObject changed)
            {
                (old[name], now[name]) = Between(inner, changed);
                continue;
            }

            if (hasOld) old[name] = a?.DeepClone();
            if (hasNow) now[name] = b?.DeepClone();
        }

        return (old, now);
    }
}
