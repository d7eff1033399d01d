namespace Sluice.Gateway.Http;

/// <summary>The path of a worker's log in the management API.</summary>
internal static class WorkerLogPath
{
    public static string For(string endpointId, string podId) =>
        $"/api/v1/endpoints/{endpointId}/workers/{podId}/logs";
}
