using System.Diagnostics;
using System.Diagnostics.Metrics;
using System.Globalization;
using Microsoft.Extensions.Logging;
using Sluice.Domain.Declarations;
using Sluice.Shared;

namespace Sluice.Hosting.Processes;

/// <summary>
/// Keeps standby workers, so that a cold start loads a model but does not start a process. It is the only owner of
/// their processes until one becomes a pod.
/// </summary>
internal sealed partial class StandbyPool : IDisposable
{
    /// <summary>
    /// Pause before the next start after a worker became a pod, because the pod needs the processor more.
    /// </summary>
    private static readonly TimeSpan PauseAfterUse = TimeSpan.FromSeconds(2);

    /// <summary>Pause after a failure: the next start is likely to fail too, and the pods report the cause.</summary>
    private static readonly TimeSpan PauseAfterFailure = TimeSpan.FromMinutes(1);

    /// <summary>
    /// Longest duration of a start. A warm-up run takes a second; loading a GPU's libraries from a slow disk takes
    /// longer. A worker that is not ready by then hangs.
    /// </summary>
    private static readonly TimeSpan Longest = TimeSpan.FromMinutes(2);

    /// <summary>
    /// Bytes of available memory below which no standby worker is started, because models need the memory first.
    /// </summary>
    private const long MinAvailable = 1L << 30;

    private readonly Lock gate = new();
    private readonly List<StandbyWorker> workers = [];
    private readonly StandbySettings settings;
    private readonly Func<StandbyProfile, Task<(Process, WorkFolder)>> start;
    private readonly TimeProvider time;
    private readonly ILogger logger;
    private DateTimeOffset next = DateTimeOffset.MinValue;
    private IReadOnlyList<Deployment>? sharedOf;
    private IReadOnlyDictionary<StandbyProfile, int> wanted = new Dictionary<StandbyProfile, int>();
    private bool starting;
    private bool disposed;

    /// <param name="settings">How many workers to keep.</param>
    /// <param name="start">Starts a process of a kind, in a working directory that is deleted after its exit.</param>
    /// <param name="time">The clock.</param>
    /// <param name="logger">Receives failures.</param>
    public StandbyPool(
        StandbySettings settings,
        Func<StandbyProfile, Task<(Process, WorkFolder)>> start,
        TimeProvider time,
        ILogger logger)
    {
        this.settings = settings;
        this.start = start;
        this.time = time;
        this.logger = logger;
        SluiceMeter.Meter.CreateObservableGauge(MetricNames.StandbyWorkers, () => Ready, "{worker}",
            "Standby workers of this host that are ready to load a model.");
    }

    /// <summary>Number of workers that are ready now.</summary>
    public int Ready
    {
        get
        {
            lock (gate) return workers.Count(w => w.Ready);
        }
    }

    /// <summary>Makes one change towards the required set of standby workers: called repeatedly.</summary>
    /// <param name="declared">All declarations; the same object while they do not change.</param>
    /// <param name="placed">Whether the host assigns devices to every pod.</param>
    public void Prepare(IReadOnlyList<Deployment> declared, bool placed)
    {
        if (settings.Count == 0) return;
        StandbyProfile? missing;
        lock (gate)
        {
            if (declared != sharedOf)
                (sharedOf, wanted) = (declared, StandbyProfile.Share(declared, placed, settings.Count));
            var now = time.GetUtcNow();
            var ended = workers.Where(w => w.Process.HasExited || (!w.Ready && now - w.StartedAt > Longest));
            foreach (var dead in ended.ToList())
            {
                StandbyWorkerEnded(dead.Process.HasExited
                    ? $"{ExitCode.Describe(dead.Process.ExitCode)}: {string.Join(" | ", dead.LastOutput)}"
                    : $"not ready within {Longest.TotalSeconds:0} s");
                next = now + PauseAfterFailure;
                workers.Remove(dead);
                dead.Dispose();
            }

            foreach (var kind in workers.GroupBy(w => w.Kind).ToList())
                foreach (var surplus in kind.Skip(wanted.GetValueOrDefault(kind.Key)))
                {
                    workers.Remove(surplus);
                    surplus.Dispose();
                }

            missing = wanted.Where(w => workers.Count(o => o.Kind == w.Key) < w.Value)
                .Select(w => w.Key).FirstOrDefault();
            if (missing is null || starting || disposed || now < next || Available() < MinAvailable) return;
            starting = true;
        }

        _ = StartAsync(missing);
    }

    /// <summary>Removes a ready worker from the pool and returns it; the caller owns it. Null: none is ready.</summary>
    public StandbyWorker? Acquire(StandbyProfile kind)
    {
        lock (gate)
        {
            next = time.GetUtcNow() + PauseAfterUse;
            if (workers.FirstOrDefault(w => w.Kind == kind && w.Ready) is not { } found) return null;
            workers.Remove(found);
            return found;
        }
    }

    public void Dispose()
    {
        lock (gate)
        {
            disposed = true;
            foreach (var worker in workers) worker.Dispose();
            workers.Clear();
        }
    }

    private async Task StartAsync(StandbyProfile kind)
    {
        try
        {
            var (process, folder) = await start(kind);
            var worker = new StandbyWorker(process, folder, kind, time.GetUtcNow());
            lock (gate)
            {
                if (!disposed) workers.Add(worker);
                else worker.Dispose();
            }
        }
        catch (Exception e)
        {
            StandbyWorkerEnded(e.Message);
            lock (gate) next = time.GetUtcNow() + PauseAfterFailure;
        }
        finally
        {
            lock (gate) starting = false;
        }
    }

    /// <summary>
    /// Returns the bytes of memory that are available without swapping (proc(5), MemAvailable); without that file the
    /// limit does not apply.
    /// </summary>
    private static long Available()
    {
        const string name = "MemAvailable:";
        if (!File.Exists("/proc/meminfo")) return long.MaxValue;
        var line = File.ReadLines("/proc/meminfo").FirstOrDefault(l => l.StartsWith(name, StringComparison.Ordinal));
        // "MemAvailable:   12345 kB"
        if (line is null) return long.MaxValue;
        return long.Parse(line[name.Length..^2].Trim(), NumberStyles.None, CultureInfo.InvariantCulture) << 10;
    }

    [LoggerMessage(LogLevel.Warning, "Standby worker ended; cold starts are slower without it: {Why}")]
    private partial void StandbyWorkerEnded(string why);
}
