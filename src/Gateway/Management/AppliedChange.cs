using System.Text.Json.Nodes;
using Sluice.Storage.Audit;

namespace Sluice.Gateway.Management;

/// <summary>A declaration that a manifest changes.</summary>
/// <param name="Target">Its path in the API.</param>
/// <param name="Action"><c>create</c> or <c>change</c>.</param>
/// <param name="Before">The members that differ, as they were; null if it is new.</param>
/// <param name="After">The members that differ, as they are.</param>
public sealed record AppliedChange(string Target, string Action, JsonObject? Before, JsonObject? After)
{
    internal static AppliedChange From(string target, JsonObject? before, JsonObject? after)
    {
        var (old, now) = JsonDifference.Between(before, after);
        return new AppliedChange(target, before is null ? "create" : "change", old, now);
    }
}
