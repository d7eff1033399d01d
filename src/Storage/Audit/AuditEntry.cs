using System.Text.Json.Nodes;

namespace Sluice.Storage.Audit;

/// <summary>One change of what the gateway manages.</summary>
public sealed record AuditEntry
{
    /// <summary>
    /// The position in the audit log, which is the time of Redis in ms and a number. Empty until stored.
    /// </summary>
    public string Id { get; init; } = "";

    /// <summary>When the change was made, by the clock of the gateway.</summary>
    public required DateTimeOffset At { get; init; }

    /// <summary>
    /// The id of the API key that made the change; <c>manifest</c> for a change of the manifest file.
    /// </summary>
    public required string Actor { get; init; }

    /// <summary>The name of the key, or the path of the manifest.</summary>
    public string ActorName { get; init; } = "";

    /// <summary>The IP address of the client, or the host of the manifest.</summary>
    public string From { get; init; } = "";

    /// <summary>The id of the request in the log of the gateway; null for a change of the manifest.</summary>
    public string? RequestId { get; init; }

    /// <summary>Method and route of the request, such as <c>PATCH /api/v1/keys/{id}</c>, or <c>manifest</c>.</summary>
    public required string Action { get; init; }

    /// <summary>The path of the request, or the path of the changed declaration.</summary>
    public required string Target { get; init; }

    /// <summary>
    /// Whether the request ended with an error, or its client left, so that the change may or may not have been made.
    /// </summary>
    public bool IsUncertain { get; init; }

    /// <summary>The changed fields before the change. Null: there was nothing, or the change has no fields.</summary>
    public JsonObject? Before { get; init; }

    /// <summary>The changed fields after the change. Null: nothing is left, or the change has no fields.</summary>
    public JsonObject? After { get; init; }
}
