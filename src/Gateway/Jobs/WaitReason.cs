using System.Globalization;
using Sluice.Domain.Declarations;
using Sluice.Domain.Fleet;
using Sluice.Domain.Jobs;
using Sluice.Gateway.Forwarding;
using Sluice.Storage.Fleet;
using Endpoint = Sluice.Domain.Declarations.Endpoint;

namespace Sluice.Gateway.Jobs;

/// <summary>Determines why a job is queued. Pure function of the state of its endpoint.</summary>
public static class WaitReason
{
    /// <summary>The endpoint is disabled, paused, or has used its daily worker time.</summary>
    public const string Paused = "PAUSED";

    /// <summary>Workers fail to start.</summary>
    public const string CrashLoop = "WORKER_CRASH_LOOP";

    /// <summary>A worker is needed, and all matching GPUs are in use.</summary>
    public const string NoCapacity = "NO_CAPACITY";

    /// <summary>A worker is needed, and no GPU matches.</summary>
    public const string NoFittingGpu = "NO_FITTING_GPU";

    /// <summary>A worker is starting.</summary>
    public const string ScalingUp = "SCALING_UP";

    /// <summary>The maximum number of workers runs, and all are busy.</summary>
    public const string AtMaxWorkers = "AT_MAX_WORKERS";

    /// <summary>Jobs of normal priority run first, and no worker is started for low priority.</summary>
    public const string LowPriority = "LOW_PRIORITY";

    /// <summary>A slot is free, and the job starts next.</summary>
    public const string Dispatching = "DISPATCHING";

    /// <summary>Returns the reason, the position and the estimated start of a queued job.</summary>
    /// <param name="job">A queued job.</param>
    /// <param name="endpoint">The declaration of its endpoint.</param>
    /// <param name="snapshot">The slots and the queue of the endpoint.</param>
    /// <param name="blocked">Why no worker can start. Null: workers can start.</param>
    /// <param name="wait">Why workers wait for devices. Null: no worker waits.</param>
    /// <param name="pods">The workers of the endpoint.</param>
    /// <param name="anonymous">Whether the client has no API key. The text then contains no details of workers, devices
    /// and other endpoints.</param>
    public static QueueView Explain(Job job, Endpoint endpoint, EndpointSnapshot snapshot, BlockedStart? blocked,
        GpuWait? wait = null,
        IReadOnlyList<Pod>? pods = null, bool anonymous = false)
    {
        var ready = snapshot.Workers.Where(w => !w.Draining).ToList();
        var slots = ready.Sum(w => w.Capacity);
        var position = job.Place + 1;
        double? eta = slots > 0 && job.MeanRun is { } mean
            ? Math.Round(mean.TotalMilliseconds * position / slots) : null;
        var (reason, detail) = Why();
        return new QueueView(position, reason, detail, reason is Paused or CrashLoop or NoFittingGpu ? null : eta);

        (string, string) Why()
        {
            if (endpoint.Scaling.Max == 0) return (Paused, "The endpoint is disabled: its scaling.max is 0.");
            if (endpoint.Scaling.Pause != Pause.None) return (Paused, "The endpoint is paused by its scaling.pause.");
            if (blocked is { ByPolicy: true }) return (Paused, blocked.ReasonFor(anonymous));
            if (wait is { Never: true } && ready.Count == 0) return (NoFittingGpu, wait.TextFor(anonymous));
            if (blocked is not null && ready.Count == 0) return (CrashLoop, blocked.ReasonFor(anonymous));
            if (wait is not null && ready.Count == 0) return (NoCapacity, wait.TextFor(anonymous));
            if (ready.Count == 0)
                return (ScalingUp, WaitExplanation.Starts(pods ?? [], anonymous) is { Length: > 0 } start
                    ? $"No worker is ready yet. {start}" : "No worker is ready yet.");
            if (ready.Any(w => w.Free > 0) && position <= ready.Sum(w => w.Free))
                return (Dispatching, "A slot is free.");
            if (ready.Count >= endpoint.Scaling.Max)
            {
                var max = endpoint.Scaling.Max;
                return (AtMaxWorkers,
                    Text($"All {slots} slots of {ready.Count} workers are in use, and scaling.max is {max}."));
            }

            if (wait is not null) return (wait.Never ? NoFittingGpu : NoCapacity, wait.TextFor(anonymous));
            return job.LowPriority ? (LowPriority,
                "Jobs of normal priority run first, and no worker is started for low priority.")
                : (ScalingUp,
                Text($"All {slots} slots of {ready.Count} workers are in use. More workers may be started."));
        }
    }

    private static string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
