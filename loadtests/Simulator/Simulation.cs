using Sluice.Domain.Fleet;
using Sluice.Simulator.Scalers;

namespace Sluice.Simulator;

/// <summary>
/// A discrete-event simulation in virtual time. Events are arrivals, ends of requests, starts and failures of workers,
/// reports of the gateway, and passes of the scalers. Requests wait in one queue per endpoint, first come first served,
/// and are sent to the ready worker with the fewest requests. Deterministic: equal endpoints give equal outcomes.
/// </summary>
public sealed class Simulation(IReadOnlyList<SimEndpoint> endpoints, IPlacer? placer = null)
{
    /// <summary>
    /// Time from a request that must wait to the pass that it triggers (about 1 ms, measured on the product), and the
    /// minimum time between two passes.
    /// </summary>
    private static readonly TimeSpan Nudge = TimeSpan.FromMilliseconds(2);

    private static readonly TimeSpan Breath = TimeSpan.FromMilliseconds(10);
    private static readonly TimeSpan ReportEvery = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan PlaceEvery = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan FlapWithin = TimeSpan.FromMinutes(1);

    /// <summary>How long requests may wait after the end of the trace.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromHours(6);

    private readonly PriorityQueue<Event, long> events = new();
    private readonly Dictionary<SimEndpoint, int> requested = [];
    private bool placing;
    private long pods;

    /// <summary>Number of handled events.</summary>
    public long Events { get; private set; }

    /// <summary>Maximum number of concurrent workers over all endpoints.</summary>
    public int MostWorkers { get; private set; }

    private int alive;

    private enum Kind
    {
        Arrive,
        End,
        Started,
        Die,
        Stopped,
        Report,
        Tick,
        Nudge,
        Place,
    }

    /// <summary>Runs until <paramref name="length"/> has passed and no request waits or runs.</summary>
    public void Run(TimeSpan length)
    {
        var until = SimEndpoint.Start + length;
        for (var i = 0; i < endpoints.Count; i++)
        {
            var endpoint = endpoints[i];
            // The passes are spread over time, like the timers of the gateways.
            var offset = TimeSpan.FromMilliseconds(37 * i % 1000);
            if (endpoint.Trace.Requests.Count > 0) At(endpoint.Arrives(0), new Event(Kind.Arrive, endpoint));
            At(SimEndpoint.Start + offset, new Event(Kind.Tick, endpoint));
            At(SimEndpoint.Start + offset + TimeSpan.FromMilliseconds(430), new Event(Kind.Report, endpoint));
        }

        while (events.TryDequeue(out var next, out var ticks))
        {
            var now = new DateTimeOffset(ticks, TimeSpan.Zero);
            if (now > until && Finished(next.Endpoint)) continue;
            if (now > until + Patience)
                throw new InvalidOperationException($"{next.Endpoint.Name} has requests that are never answered");
            Events++;
            Handle(next, now);
        }

        // All remaining workers are counted up to the same time, however long the requests took to finish.
        foreach (var endpoint in endpoints) endpoint.Advance(until);
    }

    /// <summary>
    /// Whether nothing more happens at an endpoint. Its idle workers have devices that others may wait for.
    /// </summary>
    private bool Finished(SimEndpoint endpoint) => endpoint.Next >= endpoint.Trace.Requests.Count
        && endpoint.Queued == 0 && endpoint.Running == 0 && (placer is null || endpoint.Workers.Count == 0);

    private void Handle(Event next, DateTimeOffset now)
    {
        var endpoint = next.Endpoint;
        switch (next.Kind)
        {
            case Kind.Arrive:
                var request = endpoint.Next++;
                if (endpoint.Next < endpoint.Trace.Requests.Count)
                    At(endpoint.Arrives(endpoint.Next), new Event(Kind.Arrive, endpoint));
                if (placer?.NeverFits.Contains(endpoint.Name) == true) break;
                endpoint.Enqueue(request, now);
                Grant(endpoint, now);
                if (endpoint.Queued > 0 && endpoint.Contender.IsTriggered(endpoint)) Wake(endpoint, now);
                break;
            case Kind.End when next.Worker!.Requests.Remove(next.Request):
                endpoint.Ended(now, completes: true);
                if (next.Worker.Requests.Count == 0) next.Worker.IdleSince = now;
                if (next.Worker is { Drained: true, Requests.Count: 0 })
                    At(now + endpoint.Options.Stop, new Event(Kind.Stopped, endpoint, next.Worker));
                Grant(endpoint, now);
                break;
            case Kind.Started when !next.Worker!.Gone:
                Started(endpoint, next.Worker, now);
                break;
            case Kind.Die when !next.Worker!.Gone:
                endpoint.Outcome.Deaths++;
                Fail(endpoint, next.Worker, now);
                break;
            case Kind.Stopped when !next.Worker!.Gone:
                Remove(endpoint, next.Worker, now);
                break;
            case Kind.Report:
                endpoint.Report(now);
                At(now + ReportEvery, next);
                break;
            case Kind.Tick:
                Look(endpoint, now);
                At(now + endpoint.Contender.Interval, next);
                break;
            case Kind.Nudge:
                endpoint.LookPending = false;
                Look(endpoint, now);
                break;
            case Kind.Place:
                PlaceAll(now);
                break;
        }
    }

    private void Started(SimEndpoint endpoint, SimWorker worker, DateTimeOffset now)
    {
        if (endpoint.Random.NextDouble() < endpoint.Options.FailingStarts)
        {
            endpoint.Outcome.FailedStarts++;
            Fail(endpoint, worker, now);
            return;
        }

        worker.Move(PodState.Ready, now);
        worker.IdleSince = now;
        if (endpoint.Options.MeanLife > TimeSpan.Zero)
            At(now - endpoint.Options.MeanLife * Math.Log(1 - endpoint.Random.NextDouble()),
                new Event(Kind.Die, endpoint, worker));
        Grant(endpoint, now);
        if (endpoint.Queued > 0 && endpoint.Contender.IsTriggered(endpoint)) Wake(endpoint, now);
    }

    /// <summary>
    /// Handles a worker that failed: its requests return to the front of the queue, and the scaler runs again.
    /// </summary>
    private void Fail(SimEndpoint endpoint, SimWorker worker, DateTimeOffset now)
    {
        foreach (var request in worker.Requests.OrderDescending())
        {
            endpoint.Ended(now, completes: false);
            endpoint.Enqueue(request, now, front: true);
        }

        worker.Requests.Clear();
        Remove(endpoint, worker, now);
        endpoint.Contender.OnFailed(worker, now);
        Grant(endpoint, now);
        Wake(endpoint, now);
    }

    private void Remove(SimEndpoint endpoint, SimWorker worker, DateTimeOffset now)
    {
        endpoint.Advance(now);
        endpoint.Workers.Remove(worker);
        endpoint.DrainOrders.Remove(worker.Pod.Id);
        worker.Gone = true;
        alive--;
        placer?.Free(worker.Pod);
        endpoint.Outcome.Fleet.Add(((now - SimEndpoint.Start).TotalSeconds, endpoint.Workers.Count));
    }

    private void Grant(SimEndpoint endpoint, DateTimeOffset now)
    {
        while (endpoint.Queued > 0)
        {
            SimWorker? best = null;
            foreach (var worker in endpoint.Workers)
                if (worker is { State: PodState.Ready, Drained: false }
                    && worker.Requests.Count < endpoint.Options.SlotsPerWorker && endpoint.HasRoom(worker)
                    && (best is null || worker.Requests.Count < best.Requests.Count)) best = worker;
            if (best is null) return;
            var request = endpoint.Dequeue(now);
            best.Requests.Add(request);
            if (endpoint.FirstGrant(request))
                endpoint.Outcome.Waited(now - endpoint.Arrives(request), endpoint.Options.Target);
            At(now + endpoint.Trace.Requests[request].Service, new Event(Kind.End, endpoint, best, request));
        }
    }

    private void Wake(SimEndpoint endpoint, DateTimeOffset now)
    {
        if (endpoint.LookPending) return;
        endpoint.LookPending = true;
        var at = now + Nudge;
        if (endpoint.LastLook + Breath > at) at = endpoint.LastLook + Breath;
        At(at, new Event(Kind.Nudge, endpoint));
    }

    private void Look(SimEndpoint endpoint, DateTimeOffset now)
    {
        endpoint.Advance(now);
        endpoint.LastLook = now;
        endpoint.Outcome.Looks++;
        var orders = endpoint.Contender.Decide(endpoint, now);
        foreach (var id in orders.Resume ?? []) Resume(endpoint, endpoint.Workers.Find(w => w.Pod.Id == id)!, now);
        Order(endpoint, orders.Start, now);
        if (orders.Drain.Count == 0) return;
        endpoint.Outcome.ScaleInsAt.Add((now - SimEndpoint.Start).TotalSeconds);
        endpoint.LastScaleIn = now;
        foreach (var id in orders.Drain) Drain(endpoint, endpoint.Workers.Find(w => w.Pod.Id == id)!, now);
    }

    private void Order(SimEndpoint endpoint, int workers, DateTimeOffset now)
    {
        if (placer is null)
        {
            for (var i = 0; i < workers; i++) Start(endpoint, NewPod(endpoint, now), now);
            return;
        }

        // Every pass replaces the unsatisfied request of the previous pass.
        requested.Remove(endpoint);
        if (workers == 0) return;
        requested[endpoint] = workers;
        if (placing) return;
        placing = true;
        At(now + PlaceEvery, new Event(Kind.Place, endpoint));
    }

    /// <summary>Places the requested workers of all endpoints, as one pass of a leader does.</summary>
    private void PlaceAll(DateTimeOffset now)
    {
        placing = false;
        var wanted = requested.SelectMany(
            r => Enumerable.Range(0, r.Value).Select(_ => (Endpoint: r.Key, Pod: NewPod(r.Key, now)))).ToList();
        requested.Clear();
        var placed = placer!.Place([.. wanted.Select(w => w.Pod)]);
        foreach (var (endpoint, pod) in wanted)
            if (placed.Contains(pod.Id)) Start(endpoint, pod, now);
            else endpoint.Outcome.NoCapacity++;
        foreach (var (endpoint, _) in wanted)
            if (placer.NeverFits.Contains(endpoint.Name)) endpoint.RefuseAll(now);
    }

    private Pod NewPod(SimEndpoint endpoint, DateTimeOffset now) => new()
    {
        Id = $"{endpoint.Name}-{pods++}",
        EndpointId = endpoint.Name,
        Template = "t",
        HostId = "h",
        State = PodState.Starting,
        Fingerprint = "",
        StartedAt = now,
    };

    private void Start(SimEndpoint endpoint, Pod pod, DateTimeOffset now)
    {
        var worker = new SimWorker(pod);
        endpoint.Advance(now);
        endpoint.Workers.Add(worker);
        MostWorkers = Math.Max(MostWorkers, ++alive);
        var outcome = endpoint.Outcome;
        outcome.Starts++;
        outcome.MostWorkers = Math.Max(outcome.MostWorkers, endpoint.Workers.Count);
        if (now - endpoint.LastScaleIn < FlapWithin) outcome.Flaps++;
        outcome.Fleet.Add(((now - SimEndpoint.Start).TotalSeconds, endpoint.Workers.Count));
        At(now + endpoint.Options.Start.Next(endpoint.Random), new Event(Kind.Started, endpoint, worker));
    }

    private void Drain(SimEndpoint endpoint, SimWorker worker, DateTimeOffset now)
    {
        worker.Drained = true;
        endpoint.DrainOrders.Add(worker.Pod.Id);
        if (worker.Requests.Count == 0) At(now + endpoint.Options.Stop, new Event(Kind.Stopped, endpoint, worker));
    }

    /// <summary>Returns a draining worker to service.</summary>
    private void Resume(SimEndpoint endpoint, SimWorker worker, DateTimeOffset now)
    {
        // An idle worker is already stopping.
        if (worker.Requests.Count == 0) return;
        worker.Drained = false;
        endpoint.DrainOrders.Remove(worker.Pod.Id);
        if (now - endpoint.LastScaleIn < FlapWithin) endpoint.Outcome.Flaps++;
        Grant(endpoint, now);
    }

    private void At(DateTimeOffset when, Event what) => events.Enqueue(what, when.UtcTicks);

    private readonly record struct Event(Kind Kind, SimEndpoint Endpoint, SimWorker? Worker = null, int Request = -1);
}
