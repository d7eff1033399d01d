using System.Globalization;
using Sluice.Core.Dispatch;
using Sluice.Core.Endpoints;
using Sluice.Core.Gpus;
using Sluice.Core.Jobs;
using Sluice.Core.Workers;
using Sluice.Gateway.Forwarding;
using Endpoint = Sluice.Core.Endpoints.Endpoint;

namespace Sluice.Gateway.Jobs;

/// <summary>Why a job waits: what an operator would look up, told to whoever asks. Pure.</summary>
public static class WaitReason
{
    /// <summary>The endpoint is switched off, paused, or has used up its day's worker time.</summary>
    public const string Paused = "PAUSED";

    /// <summary>Workers fail to start.</summary>
    public const string CrashLoop = "WORKER_CRASH_LOOP";

    /// <summary>A worker is wanted, and every GPU that fits is in use.</summary>
    public const string NoCapacity = "NO_CAPACITY";

    /// <summary>A worker is wanted, and there is no GPU that fits.</summary>
    public const string NoFittingGpu = "NO_FITTING_GPU";

    /// <summary>A worker is on its way.</summary>
    public const string ScalingUp = "SCALING_UP";

    /// <summary>As many workers run as the endpoint may have, and all are busy.</summary>
    public const string AtMaxWorkers = "AT_MAX_WORKERS";

    /// <summary>Others go first, and no worker is ordered for it.</summary>
    public const string LowPriority = "LOW_PRIORITY";

    /// <summary>It is its turn.</summary>
    public const string Dispatching = "DISPATCHING";

    /// <param name="job">A job that waits.</param>
    /// <param name="endpoint">Its endpoint as it is declared.</param>
    /// <param name="snapshot">What dispatch knows of it.</param>
    /// <param name="blocked">Why no worker can start; null: one can.</param>
    /// <param name="wait">Why workers wait for devices; null: none does.</param>
    /// <param name="pods">The endpoint's workers.</param>
    /// <param name="anonymous">Whether the client has no key: it learns nothing of workers, devices and other endpoints.</param>
    public static QueueView Of(Job job, Endpoint endpoint, EndpointSnapshot snapshot, BlockedStart? blocked, GpuWait? wait = null,
        IReadOnlyList<Pod>? pods = null, bool anonymous = false)
    {
        var ready = snapshot.Workers.Where(w => !w.Draining).ToList();
        var slots = ready.Sum(w => w.Capacity);
        var position = job.Place + 1;
        double? eta = slots > 0 && job.MeanRun is { } mean ? Math.Round(mean.TotalMilliseconds * position / slots) : null;
        var (reason, detail) = Why();
        return new QueueView(position, reason, detail, reason is Paused or CrashLoop or NoFittingGpu ? null : eta);

        (string, string) Why()
        {
            if (endpoint.Scaling.Max == 0) return (Paused, "the endpoint is switched off: its scaling.max is 0");
            if (endpoint.Scaling.Pause != Pause.None) return (Paused, "the endpoint is paused: its scaling.pause says so");
            if (blocked is { ByPolicy: true }) return (Paused, blocked.ReasonFor(anonymous));
            if (wait is { Never: true } && ready.Count == 0) return (NoFittingGpu, wait.TextFor(anonymous));
            if (blocked is not null && ready.Count == 0) return (CrashLoop, blocked.ReasonFor(anonymous));
            if (wait is not null && ready.Count == 0) return (NoCapacity, wait.TextFor(anonymous));
            if (ready.Count == 0)
                return (ScalingUp, WaitDetail.Starts(pods ?? [], anonymous) is { Length: > 0 } start ? $"no worker is ready yet; {start}" : "no worker is ready yet");
            if (ready.Any(w => w.Free > 0) && position <= ready.Sum(w => w.Free)) return (Dispatching, "a slot is free");
            if (ready.Count >= endpoint.Scaling.Max)
                return (AtMaxWorkers, Text($"all {slots} slots of {ready.Count} workers are in use, scaling.max is {endpoint.Scaling.Max}"));
            if (wait is not null) return (wait.Never ? NoFittingGpu : NoCapacity, wait.TextFor(anonymous));
            return job.LowPriority ? (LowPriority, "everything of normal priority goes first, and no worker is ordered for it")
                : (ScalingUp, Text($"all {slots} slots of {ready.Count} workers are in use; more workers may be ordered"));
        }
    }

    private static string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
