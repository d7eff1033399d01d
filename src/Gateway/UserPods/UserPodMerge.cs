using System.Text.Json.Nodes;
using Sluice.Domain.Declarations;
using Sluice.Domain.UserPods;

namespace Sluice.Gateway.UserPods;

/// <summary>
/// Combines the fields of a request with those of a template or of the pod that it changes. Pure. Objects are combined
/// field by field (<c>env</c>, <c>container</c>, <c>gpu</c>, <c>volume</c>), and other values are replaced.
/// </summary>
internal static class UserPodMerge
{
    /// <summary>Fields of a template that a pod has too.</summary>
    private static readonly string[] Shared =
        ["image", "command", "args", "env", "container", "gpu", "startTimeout", "stopGrace"];

    /// <summary>Returns the fields that a template gives to its pods.</summary>
    public static JsonObject FieldsOf(Template template)
    {
        var all = JsonNode.Parse(DeclarationSerializer.Write(template, DeclarationJson.Template))!.AsObject();
        var fields = new JsonObject { ["template"] = template.Name };
        foreach (var name in Shared)
            if (all[name] is { } value) fields[name] = value.DeepClone();
        if (all["pod"] is JsonObject policy)
            foreach (var (name, value) in policy) fields[name] = value?.DeepClone();
        return fields;
    }

    /// <summary>Returns the fields of a pod.</summary>
    public static JsonObject FieldsOf(UserPodSpec spec) =>
        JsonNode.Parse(DeclarationSerializer.Write(spec, UserPodJson.Spec))!.AsObject();

    /// <summary>Returns <paramref name="fields"/> with those of <paramref name="over"/> in their place.</summary>
    public static JsonObject Merge(JsonObject fields, JsonObject over)
    {
        var merged = fields.DeepClone().AsObject();
        foreach (var (name, value) in over)
            merged[name] = merged[name] is JsonObject before && value is JsonObject after
                ? Merge(before, after) : value?.DeepClone();
        return merged;
    }
}
