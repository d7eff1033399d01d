namespace Sluice.Storage.Queueing;

/// <summary>The pub/sub channels of dispatch. Messages are hints; the state in Redis is authoritative.</summary>
public static class DispatchChannels
{
    /// <summary>
    /// To all gateways: <c>waiting|endpoint|holder</c>, <c>drain|endpoint|pod</c>, <c>down|endpoint|pod</c>,
    /// <c>blocked|endpoint|</c>, <c>free|endpoint|</c> (slots are free while tickets wait).
    /// </summary>
    public const string All = "sluice:dispatch";

    /// <summary>To one gateway: <c>endpoint\nentry\npod</c>, a grant to one of its tickets.</summary>
    public static string Grants(string gatewayId) => "sluice:grant:" + gatewayId;

    /// <summary>
    /// To one gateway: <c>changed|endpoint|job</c>, a job that it watches has ended or streamed data;
    /// <c>stop|endpoint|job</c>, a job that it runs was cancelled.
    /// </summary>
    public static string Jobs(string gatewayId) => "sluice:job:" + gatewayId;
}
