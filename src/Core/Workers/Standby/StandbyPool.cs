using System.Diagnostics;
using System.Diagnostics.Metrics;
using System.Globalization;
using Microsoft.Extensions.Logging;
using Sluice.Core.Endpoints;

namespace Sluice.Core.Workers.Standby;

/// <summary>How many standby workers this host keeps; each one has the memory of a worker without a model (about 100 MiB).</summary>
public sealed record StandbySettings(int Count);

/// <summary>
/// Keeps standby workers, so that a cold start costs a model's load and no process' start. The one owner of their processes until one
/// becomes a pod.
/// </summary>
internal sealed partial class StandbyPool : IDisposable
{
    /// <summary>After one was taken, the next start waits: the pod that it became needs the processor more.</summary>
    private static readonly TimeSpan Respite = TimeSpan.FromSeconds(2);

    /// <summary>After one failed: it will fail again, and the pods tell why.</summary>
    private static readonly TimeSpan AfterFailure = TimeSpan.FromMinutes(1);

    /// <summary>A rehearsal takes a second; a GPU's libraries from a slow disk take longer. One that is not through by then hangs.</summary>
    private static readonly TimeSpan Longest = TimeSpan.FromMinutes(2);

    /// <summary>With less memory available than this, models go first and no standby is started.</summary>
    private const long LeastFree = 1L << 30;

    private readonly Lock gate = new();
    private readonly List<StandbyWorker> workers = [];
    private readonly StandbySettings settings;
    private readonly Func<StandbyKind, Task<(Process, WorkFolder)>> start;
    private readonly TimeProvider time;
    private readonly ILogger logger;
    private DateTimeOffset next = DateTimeOffset.MinValue;
    private bool starting;
    private bool disposed;

    /// <param name="settings">How many.</param>
    /// <param name="start">Starts a process of a kind, in a working directory that is deleted after it.</param>
    /// <param name="time">The clock.</param>
    /// <param name="logger">Where failures are told.</param>
    public StandbyPool(StandbySettings settings, Func<StandbyKind, Task<(Process, WorkFolder)>> start, TimeProvider time, ILogger logger)
    {
        (this.settings, this.start, this.time, this.logger) = (settings, start, time, logger);
        CoreMeter.Meter.CreateObservableGauge("sluice.standby.workers", () => Ready, "{worker}", "Standby workers of this host that wait for a model.");
    }

    /// <summary>Those that wait now.</summary>
    public int Ready
    {
        get
        {
            lock (gate) return workers.Count(w => w.Ready);
        }
    }

    /// <summary>Brings what stands by one step nearer to what is declared; to be called again and again.</summary>
    public void Prepare(IReadOnlyList<Deployment> declared, bool placed)
    {
        if (settings.Count == 0) return;
        var wanted = StandbyKind.Share(declared, placed, settings.Count);
        StandbyKind? missing;
        lock (gate)
        {
            var now = time.GetUtcNow();
            foreach (var dead in workers.Where(w => w.Process.HasExited || (!w.Ready && now - w.StartedAt > Longest)).ToList())
            {
                Ended(dead.Process.HasExited ? string.Join(" | ", dead.LastOutput) : $"not ready within {Longest.TotalSeconds:0} s");
                (next, _) = (now + AfterFailure, workers.Remove(dead));
                dead.Dispose();
            }

            foreach (var kind in workers.GroupBy(w => w.Kind).ToList())
                foreach (var surplus in kind.Skip(wanted.GetValueOrDefault(kind.Key)))
                {
                    workers.Remove(surplus);
                    surplus.Dispose();
                }

            missing = wanted.Where(w => workers.Count(o => o.Kind == w.Key) < w.Value).Select(w => w.Key).FirstOrDefault();
            if (missing is null || starting || disposed || now < next || Available() < LeastFree) return;
            starting = true;
        }

        _ = StartAsync(missing);
    }

    /// <summary>One that waits, if there is; it is the caller's then.</summary>
    public StandbyWorker? Take(StandbyKind kind)
    {
        lock (gate)
        {
            next = time.GetUtcNow() + Respite;
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

    private async Task StartAsync(StandbyKind kind)
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
            Ended(e.Message);
            lock (gate) next = time.GetUtcNow() + AfterFailure;
        }
        finally
        {
            lock (gate) starting = false;
        }
    }

    /// <summary>Bytes of memory that may be had without swapping (proc(5), MemAvailable); where nothing is told, enough.</summary>
    private static long Available()
    {
        const string name = "MemAvailable:";
        if (!File.Exists("/proc/meminfo")) return long.MaxValue;
        var line = File.ReadLines("/proc/meminfo").FirstOrDefault(l => l.StartsWith(name, StringComparison.Ordinal));
        // "MemAvailable:   12345 kB"
        return line is null ? long.MaxValue : long.Parse(line[name.Length..^2].Trim(), NumberStyles.None, CultureInfo.InvariantCulture) << 10;
    }

    [LoggerMessage(LogLevel.Warning, "A standby worker ended; cold starts are slower without it: {Why}")]
    private partial void Ended(string why);
}
