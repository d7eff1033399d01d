using Sluice.Core.Endpoints;
using Sluice.Core.Gpus;
using Sluice.Core.Workers;
using Endpoint = Sluice.Core.Endpoints.Endpoint;

namespace Sluice.Gateway.Forwarding;

/// <summary>What a request without a worker waits for, for its client. Clients without a key learn nothing of workers, devices and other endpoints. Pure.</summary>
public static class WaitDetail
{
    /// <param name="endpoint">As it is declared.</param>
    /// <param name="pods">Its workers.</param>
    /// <param name="wait">Why workers wait for devices; null: none does.</param>
    /// <param name="anonymous">Whether the client has no key.</param>
    /// <returns>Empty: nothing is known beyond that it waited.</returns>
    public static string Of(Endpoint endpoint, IReadOnlyList<Pod> pods, GpuWait? wait, bool anonymous)
    {
        if (endpoint.Scaling.Pause != Pause.None) return $"the endpoint is paused: its scaling.pause is {endpoint.Scaling.Pause.ToString().ToUpperInvariant()}";
        return wait is not null ? wait.TextFor(anonymous) : Starts(pods, anonymous);
    }

    /// <summary>How far the start of a worker is, where none is ready; empty: one is, or none was ordered.</summary>
    public static string Starts(IReadOnlyList<Pod> pods, bool anonymous)
    {
        if (pods.Any(p => p.State == PodState.Ready)) return "";
        if (pods.LastOrDefault(p => p.State == PodState.Starting) is { } starting)
            return anonymous ? "a worker is starting" : $"worker {starting.Id} is starting: {starting.Reason}";
        if (pods.LastOrDefault(p => p.State == PodState.Failed) is { } failed)
            return anonymous ? "the last start of a worker failed" : $"worker {failed.Id} failed: {failed.Reason}";
        return "";
    }
}
