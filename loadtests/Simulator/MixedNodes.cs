using System.Diagnostics;
using System.Globalization;
using System.Text;
using System.Text.Json;
using Sluice.Domain.Declarations;
using Sluice.Domain.Gpus;
using Sluice.Domain.Notation;
using Sluice.Simulator.Scalers;
using Sluice.Simulator.Traces;

namespace Sluice.Simulator;

/// <summary>
/// Simulates endpoints with different requirements on 100 nodes with different GPUs: whole GPUs, groups with NVLink,
/// shares and MIG slices. The demand is larger than the fleet at times.
/// </summary>
public sealed class MixedNodes
{
    private const double Service = 20;

    /// <summary>The nodes: how many, their GPU as nvidia-smi names it, GPUs of each, NVLinks, MIG slices.</summary>
    private static readonly (int Nodes, string Name, int Gpus, int NvLinks, (string Profile, int Count)[] Mig)[] Fleet =
    [
        (16, "NVIDIA H100 80GB HBM3", 8, 18, []),
        (8, "NVIDIA H200", 8, 18, []),
        (4, "NVIDIA GB200", 4, 18, []),
        (12, "NVIDIA A100-SXM4-80GB", 8, 12, []),
        (12, "NVIDIA A100 80GB PCIe", 4, 0, [("3g.40gb", 1), ("2g.20gb", 1), ("1g.10gb", 2)]),
        (30, "NVIDIA L4", 4, 0, []),
        (18, "Tesla V100-SXM2-16GB", 2, 6, []),
    ];

    /// <summary>The classes of endpoints: their demand in GPUs or slices, and their requirements.</summary>
    private static readonly (string Name, int Endpoints, int Devices, GpuRequirements Needs)[] Classes =
    [
        ("any GPU", 40, 90, new()),
        ("L4, else V100", 30, 70, new() { Types = ["L4", "V100-16"] }),
        ("a share of 8 GiB", 30, 40, new() { Types = ["L4"], Share = MemoryShare.Parse("8GiB") }),
        ("FP8, 40 GiB", 20, 90, new() { Precision = Precision.Fp8, MinMemory = 40L << 30 }),
        ("2 A100 with NVLink", 10, 70, new() { Types = ["A100-80"], Count = 2, NvLink = true }),
        ("8 H100 with NVLink", 8, 90, new() { Types = ["H100"], Count = 8, NvLink = true }),
        ("100 GiB", 8, 60, new() { MinMemory = 100L << 30 }),
        ("MIG 1g.10gb", 20, 60, new() { Mig = MigProfile.Parse("1g.10gb") }),
        ("MIG 3g.40gb", 10, 40, new() { Mig = MigProfile.Parse("3g.40gb") }),
        ("16 GPUs: never", 2, 16, new() { Count = 16 }),
        ("MIG 7g.80gb: never", 2, 2, new() { Mig = MigProfile.Parse("7g.80gb") }),
    ];

    private readonly List<(string Class, SimEndpoint Endpoint)> endpoints = [];
    private readonly Dictionary<string, GpuRequirements> needs = [];
    private readonly Simulation simulation;
    private readonly TimeSpan length;
    private readonly Inventory inventory;

    /// <summary>Prepares the fleet and the endpoints.</summary>
    /// <param name="length">Virtual duration.</param>
    public MixedNodes(TimeSpan length)
    {
        this.length = length;
        inventory = CreateInventory();
        Placer = new GpuPlacer(inventory, e => needs[e]);
        foreach (var (name, count, devices, requirements) in Classes)
            for (var i = 0; i < count; i++)
            {
                var id = $"{name} {i}";
                needs[id] = requirements;
                endpoints.Add((name, CreateEndpoint(id, (double)devices / requirements.Count / count)));
            }

        simulation = new Simulation([.. endpoints.Select(e => e.Endpoint)], Placer);
    }

    /// <summary>The placement, with its checks.</summary>
    public GpuPlacer Placer { get; }

    /// <summary>The classes of endpoints that no node can ever serve, as the fleet was built.</summary>
    public static IReadOnlyList<string> Impossible { get; } =
        [.. Classes.Select(c => c.Name).Where(n => n.EndsWith(": never", StringComparison.Ordinal))];

    /// <summary>The classes of endpoints of which the placement said that no node can ever serve them.</summary>
    public IReadOnlyList<string> SaidNever => [.. endpoints
        .Where(e => Placer.NeverFits.Contains(e.Endpoint.Name)).Select(e => e.Class).Distinct()];

    /// <summary>The nodes and GPUs of the fleet.</summary>
    public (int Nodes, int Gpus) Size => (inventory.Gpus.Select(g => g.Node).Distinct().Count(), inventory.Gpus.Count);

    /// <summary>Requests for workers of possible endpoints that had to wait, because no device was free.</summary>
    public long NoCapacity => endpoints
        .Where(e => !Impossible.Contains(e.Class)).Sum(e => (long)e.Endpoint.Outcome.NoCapacity);

    /// <summary>Runs the simulation. An invalid placement throws.</summary>
    /// <returns>The time that it took.</returns>
    public TimeSpan Run()
    {
        var began = Stopwatch.GetTimestamp();
        simulation.Run(length);
        return Stopwatch.GetElapsedTime(began);
    }

    /// <summary>Returns the results as Markdown.</summary>
    /// <param name="took">The time that the simulation took.</param>
    public string Format(TimeSpan took)
    {
        var text = new StringBuilder(string.Create(CultureInfo.InvariantCulture, $"""

            ## {Size.Nodes} nodes of different kinds, {Size.Gpus} GPUs, {endpoints.Count} endpoints

            {length.TotalMinutes:0} minutes of virtual time in {took.TotalSeconds:0.0} s: {simulation.Events:n0} events,
            at most {simulation.MostWorkers:n0} workers concurrently, {Placer.Rounds:n0} rounds of placement of up to
            {Placer.MostRequests:n0} requests: p50 {Placer.Took(0.5):0.00} ms, p99 {Placer.Took(0.99):0.00} ms, most
            {Placer.Took(1):0.00} ms. Each placement was checked by other code: no device with two users, no share
            beyond the memory, each worker on one node with what it requires.
            Impossible: {string.Join(", ", SaidNever)}.

            | endpoints | workers started | requests | over 1 s | wait p50, s | wait p99, s | no device was free |
            |---|---|---|---|---|---|---|

            """));
        foreach (var group in endpoints.GroupBy(e => e.Class))
        {
            var all = group.Select(e => e.Endpoint.Outcome).ToList();
            var requests = all.Sum(o => o.Requests);
            text.AppendLine(string.Create(CultureInfo.InvariantCulture,
                $"| {group.Key} ({all.Count}) | {all.Sum(o => o.Starts):n0} | {requests:n0} | "
                + $"{100.0 * all.Sum(o => o.OverTarget) / Math.Max(1, requests):0.0} % | "
                + $"{all.Average(o => o.Wait(0.5)):0.0} | {all.Max(o => o.Wait(0.99)):0.0} | "
                + $"{all.Sum(o => (long)o.NoCapacity):n0} |"));
        }

        text.AppendLine("\n| device | there are | most in use |\n|---|---|---|");
        foreach (var (kind, count) in CountDevices())
            text.AppendLine(string.Create(CultureInfo.InvariantCulture,
                $"| {kind} | {count} | {Placer.MostInUse.GetValueOrDefault(kind)} |"));
        return text.ToString();
    }

    private IEnumerable<KeyValuePair<string, int>> CountDevices() => inventory.Gpus
        .SelectMany(g => g.MigEnabled ? g.Slices.Select(s => $"{g.Name} {s.Profile}") : [g.Name]).CountBy(k => k);

    private static Inventory CreateInventory()
    {
        var entries = Fleet.SelectMany((f, kind) => Enumerable.Range(0, f.Nodes).Select(n => new
        {
            name = f.Name,
            node = $"kind-{kind}-node-{n}",
            count = f.Gpus,
            nvLinks = f.NvLinks,
            mig = f.Mig.Select(m => new { profile = m.Profile, count = m.Count }),
        }));
        var (inventory, errors) = InventoryFile.Parse(JsonSerializer.Serialize(new { gpus = entries }), "simulated");
        return inventory ?? throw new InvalidOperationException(string.Join('\n', errors));
    }

    /// <summary>Creates an endpoint with waves of traffic for a number of workers on average.</summary>
    private SimEndpoint CreateEndpoint(string id, double workers)
    {
        var machine = new SimOptions { Start = new LogNormal(8, 0.25), Seed = endpoints.Count };
        var mean = 0.6 * workers * machine.SlotsPerWorker / Service;
        var phase = endpoints.Count / 7.0;
        var trace = Synthetic.Make(id, length, 2 * mean, Rate, Service, endpoints.Count);
        var policy = new ScalePolicy { Scaler = Scaler.Slo, Max = Math.Max(2, (int)Math.Ceiling(3 * workers)) };
        return new SimEndpoint(id, trace, new SluiceScaler(policy, "Sluice SLO"), machine);

        double Rate(TimeSpan t) => mean * (1 + 0.9 * Math.Sin(2 * Math.PI * (t / TimeSpan.FromMinutes(5) + phase)));
    }
}
