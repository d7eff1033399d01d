using Sluice.Domain.Declarations;
using Sluice.Domain.Fleet;
using Sluice.Storage.Fleet;
using Endpoint = Sluice.Domain.Declarations.Endpoint;

namespace Sluice.Gateway.Forwarding;

/// <summary>
/// Describes why a request waits for a worker, for the client. Clients without a key receive no details of workers,
/// devices and other endpoints. Pure.
/// </summary>
public static class WaitExplanation
{
    /// <summary>Describes why requests of an endpoint wait.</summary>
    /// <param name="endpoint">The declared endpoint.</param>
    /// <param name="pods">The workers of the endpoint.</param>
    /// <param name="wait">Why workers wait for devices; null if no worker waits.</param>
    /// <param name="anonymous">Whether the client has no key.</param>
    /// <returns>The reason, or an empty text if it is unknown.</returns>
    public static string Describe(Endpoint endpoint, IReadOnlyList<Pod> pods, GpuWait? wait, bool anonymous)
    {
        if (endpoint.Scaling.Pause != Pause.None)
        {
            var pause = endpoint.Scaling.Pause.ToString().ToUpperInvariant();
            return $"The endpoint is paused: its scaling.pause is {pause}.";
        }

        return wait is not null ? wait.TextFor(anonymous) : Starts(pods, anonymous);
    }

    /// <summary>
    /// Describes the progress of the latest worker start. The text is empty if a worker is ready or no start was
    /// requested.
    /// </summary>
    public static string Starts(IReadOnlyList<Pod> pods, bool anonymous)
    {
        if (pods.Any(p => p.State == PodState.Ready)) return "";
        if (pods.LastOrDefault(p => p.State == PodState.Starting) is { } starting)
            return anonymous
                ? "A worker is starting."
                : $"Worker {starting.Id} is starting: {starting.Reason.TrimEnd('.')}.";
        if (pods.LastOrDefault(p => p.State == PodState.Failed) is { } failed)
            return anonymous
                ? "The last start of a worker failed."
                : $"Worker {failed.Id} failed: {failed.Reason.TrimEnd('.')}.";
        return "";
    }
}
