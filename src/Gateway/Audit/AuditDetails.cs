using System.Text.Json.Nodes;

namespace Sluice.Gateway.Audit;

/// <summary>What a request changed, for the audit log. A handler sets it; both sides may be null.</summary>
/// <param name="Before">The object before the change, without secrets.</param>
/// <param name="After">The object after the change, without secrets.</param>
/// <param name="Target">The path of the object, if the path of the request does not name it.</param>
public sealed record AuditDetails(JsonObject? Before, JsonObject? After, string? Target = null)
{
    /// <summary>Sets the details of a request.</summary>
    public static void Set(
        HttpContext context, JsonObject? before, JsonObject? after, string? target = null) =>
        context.Features.Set(new AuditDetails(before, after, target));
}
