using Sluice.Domain.Fleet;
using Sluice.Simulator.Scalers;
using Sluice.Simulator.Traces;

namespace Sluice.Simulator;

/// <summary>One simulated endpoint: its queue, its workers, and the state that a scaler can observe.</summary>
public sealed class SimEndpoint(string name, Trace trace, IContender contender, SimOptions options)
{
    /// <summary>Number of waiting requests whose tokens dispatch reads.</summary>
    private const int FirstTickets = 64;

    private static readonly DateTimeOffset Epoch = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

    /// <summary>
    /// One-second buckets of concurrency, waiting and running, in request-seconds, for Knative's scaler.
    /// </summary>
    private readonly double[] buckets = new double[64];

    private readonly LinkedList<int> queue = [];
    private readonly TokenCapacity? cache =
        options.TokensPerWorker > 0 ? new TokenCapacity(options.TokensPerWorker) : null;

    private readonly bool[] granted = new bool[trace.Requests.Count];
    private long bucket;
    private DateTimeOffset touched = Epoch;
    private long completed;
    private int busyPeak;
    private TimeSpan served;
    private (int Busy, long Completed, TimeSpan Served) reported;

    public string Name => name;

    public Trace Trace => trace;

    public IContender Contender => contender;

    public SimOptions Options => options;

    public Outcome Outcome { get; } = new();

    public List<SimWorker> Workers { get; } = [];

    public HashSet<string> DrainOrders { get; } = [];

    public int Next { get; set; }

    public int Running { get; private set; }

    public int Queued => queue.Count;

    public DateTimeOffset LastLook { get; set; } = DateTimeOffset.MinValue;

    public bool LookPending { get; set; }

    public DateTimeOffset LastScaleIn { get; set; } = DateTimeOffset.MinValue;

    public Random Random { get; } = new(options.Seed * 7919 + name.Length);

    public static DateTimeOffset Start => Epoch;

    public DateTimeOffset Arrives(int request) => Epoch + trace.Requests[request].At;

    public TimeSpan OldestWait(DateTimeOffset now) =>
        queue.First is { } first ? now - Arrives(first.Value) : TimeSpan.Zero;

    /// <summary>All existing pods.</summary>
    public List<Pod> Pods() => Workers.ConvertAll(w => w.Pod);

    /// <summary>
    /// The snapshot of dispatch: the current queue, and the running and ended requests of the gateway's last report.
    /// </summary>
    public EndpointSnapshot Snapshot(DateTimeOffset now) => new()
    {
        Now = now,
        Queued = Queued,
        OldestWait = OldestWait(now),
        Busy = reported.Busy,
        Completed = reported.Completed,
        Served = reported.Served,
        TokensPerTicket = queue.Count == 0 ? 0 : queue.Take(FirstTickets).Average(r => trace.Requests[r].Tokens),
        Workers = Workers.FindAll(w => w.Pod.ReadyAt is not null)
            .ConvertAll(w =>
                new WorkerSlots(w.Pod.Id, options.SlotsPerWorker, options.SlotsPerWorker - w.Requests.Count,
                w.Requests.Count, w.Drained) { Cache = cache, Tokens = TokensAt(w) }),
        Leases = [],
    };

    /// <summary>Whether the cache of a worker has room for the first waiting request.</summary>
    public bool HasRoom(SimWorker worker) => cache is null
        || TokensAt(worker) + cache.Charge(trace.Requests[queue.First!.Value].Tokens) <= cache.Tokens;

    private long TokensAt(SimWorker worker) =>
        cache is null ? 0 : worker.Requests.Sum(r => cache.Charge(trace.Requests[r].Tokens));

    /// <summary>Reports running and ended requests, as a gateway does once per second.</summary>
    public void Report(DateTimeOffset now)
    {
        Advance(now);
        reported = (Math.Max(busyPeak, Running), completed, served);
        busyPeak = Running;
    }

    /// <summary>Returns the mean concurrency of the last whole seconds.</summary>
    public double MeanConcurrency(DateTimeOffset now, TimeSpan window)
    {
        Advance(now);
        var seconds = (int)Math.Min(window.TotalSeconds, bucket);
        if (seconds == 0) return Queued + Running;
        var sum = 0.0;
        for (var i = 1; i <= seconds; i++) sum += buckets[(bucket - i) % buckets.Length];
        return sum / seconds;
    }

    public void Enqueue(int request, DateTimeOffset now, bool front = false)
    {
        Advance(now);
        if (front) queue.AddFirst(request);
        else queue.AddLast(request);
    }

    /// <summary>Removes all waiting requests, as the gateway does that can never start a worker for them.</summary>
    public void RefuseAll(DateTimeOffset now)
    {
        Advance(now);
        queue.Clear();
    }

    public int Dequeue(DateTimeOffset now)
    {
        Advance(now);
        var first = queue.First!.Value;
        queue.RemoveFirst();
        Running++;
        busyPeak = Math.Max(busyPeak, Running);
        return first;
    }

    /// <summary>
    /// Whether a request gets a slot for the first time. A request whose worker failed has already waited.
    /// </summary>
    public bool FirstGrant(int request) => !granted[request] && (granted[request] = true);

    public void Ended(DateTimeOffset now, bool completes)
    {
        Advance(now);
        Running--;
        if (completes) completed++;
    }

    /// <summary>Accounts for the time since the last change.</summary>
    public void Advance(DateTimeOffset now)
    {
        if (now <= touched) return;
        served += Running * (now - touched);
        Outcome.WorkerSeconds += Workers.Count * (now - touched).TotalSeconds;
        var load = Running + queue.Count;
        while (touched < now)
        {
            var ends = Epoch.AddSeconds(bucket + 1);
            var until = ends < now ? ends : now;
            buckets[bucket % buckets.Length] += load * (until - touched).TotalSeconds;
            touched = until;
            if (until < ends) break;
            bucket++;
            buckets[bucket % buckets.Length] = 0;
        }
    }
}
