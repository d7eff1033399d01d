using System.Text.Json.Nodes;

namespace Sluice.Gateway.Management;

/// <summary>JSON merge patch (RFC 7396). Pure.</summary>
internal static class MergePatch
{
    /// <summary>
    /// Returns the target with the members of the patch: null removes a member, an object changes the members of an
    /// object, any other value replaces the member.
    /// </summary>
    public static JsonNode? Apply(JsonNode? target, JsonNode? patch)
    {
        if (patch is not JsonObject changes) return patch?.DeepClone();
        var result = target is JsonObject original ? original.DeepClone().AsObject() : [];
        foreach (var (name, value) in changes)
            if (value is null) result.Remove(name);
            else result[name] = Apply(result[name], value);
        return result;
    }
}
