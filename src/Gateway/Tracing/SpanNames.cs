namespace Sluice.Gateway.Tracing;

/// <summary>
/// The names of the spans and of their attributes. The names of OpenTelemetry's semantic conventions are used where one
/// exists; those that begin with <c>sluice.</c> are the gateway's own.
/// </summary>
internal static class SpanNames
{
    public const string Queue = "queue";
    public const string ColdStart = "cold start";
    public const string Forward = "forward";

    public const string ErrorType = "error.type";
    public const string Method = "http.request.method";
    public const string Route = "http.route";
    public const string Status = "http.response.status_code";
    public const string Resends = "http.request.resend_count";
    public const string ServerAddress = "server.address";

    public const string MessagingSystem = "messaging.system";
    public const string MessagingDestination = "messaging.destination.name";
    public const string MessagingName = "messaging.operation.name";
    public const string MessagingType = "messaging.operation.type";
    public const string MessageId = "messaging.message.id";

    public const string GenAiOperation = "gen_ai.operation.name";
    public const string GenAiModel = "gen_ai.request.model";
    public const string GenAiInput = "gen_ai.usage.input_tokens";
    public const string GenAiOutput = "gen_ai.usage.output_tokens";

    /// <summary>In seconds.</summary>
    public const string GenAiFirst = "gen_ai.response.time_to_first_chunk";

    public const string Request = "sluice.request.id";
    public const string Endpoint = "sluice.endpoint";
    public const string Worker = "sluice.worker";
    public const string Outcome = "sluice.outcome";
    public const string Attempt = "sluice.attempt";
    public const string Batch = "sluice.batch";
    public const string Delivery = "sluice.delivery";
}
