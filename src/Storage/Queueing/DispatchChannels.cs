namespace Sluice.Storage.Queueing;

/// <summary>The pub/sub channels of dispatch. Messages are hints; the state in Redis is authoritative.</summary>
public static class DispatchChannels
{
    /// <summary>
    /// To all gateways: <c>waiting|endpoint|holder</c>, <c>drain|endpoint|pod</c>, <c>down|endpoint|pod</c>,
    /// <c>blocked|endpoint|</c>, <c>free|endpoint|</c> (slots are free while tickets wait), <c>wake|endpoint|</c> (the
    /// endpoint may be at rest and needs a pass of the leader).
    /// </summary>
    public const string All = "sluice:dispatch";

    /// <summary>The message that an endpoint needs a pass of the leader.</summary>
    public static string Wake(string endpointId) => $"wake|{endpointId}|";

    /// <summary>To one gateway: <c>endpoint\nentry\npod</c>, a grant to one of its tickets.</summary>
    public static string Grants(string gatewayId) => "sluice:grant:" + gatewayId;

    /// <summary>
    /// To one gateway: <c>changed|endpoint|job</c>, a job that it watches has ended or streamed data;
    /// <c>stop|endpoint|job</c>, a job that it runs was cancelled.
    /// </summary>
    public static string Jobs(string gatewayId) => "sluice:job:" + gatewayId;
}
