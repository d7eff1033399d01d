using System.Collections.Concurrent;
using System.Text.Json;
using Microsoft.Extensions.Logging;
using Sluice.ControlPlane.Machine;
using Sluice.ControlPlane.Pods;
using Sluice.Domain.Declarations;
using Sluice.Domain.Fleet;
using Sluice.Domain.Gpus;
using Sluice.Domain.Nodes;
using Sluice.Hosting;
using Sluice.Storage.Fleet;

namespace Sluice.ControlPlane.Nodes;

/// <summary>
/// Announces this gateway's node, and knows the nodes of the other gateways. A gateway whose host is shared, as that of
/// Kubernetes, reports all of its nodes itself, and neither announces nor uses others.
/// </summary>
public sealed partial class FleetNodes
{
    /// <summary>How long a host that did not take an order gets no other one.</summary>
    private static readonly TimeSpan AvoidedFor = TimeSpan.FromSeconds(10);

    /// <summary>The time until a new worker of another node is in its announcement.</summary>
    private static readonly TimeSpan AnnouncedAfter = TimeSpan.FromSeconds(2);

    private readonly NodeSettings settings;
    private readonly HostId host;
    private readonly IPodHost podHost;
    private readonly GpuInventory inventory;
    private readonly ManagedPods pods;
    private readonly NodeStore store;
    private readonly TimeProvider time;
    private readonly ILogger<FleetNodes> logger;
    private readonly ConcurrentDictionary<string, DateTimeOffset> avoided = [];
    private readonly ConcurrentDictionary<string, (string HostId, DateTimeOffset At)> recent = [];
    private readonly ConcurrentDictionary<string, FleetNode> parsed = [];
    private readonly FleetInventoryCache cache = new();
    private (Inventory Gpus, string Json)? announced;
    private volatile IReadOnlyList<FleetNode> others = [];

    internal FleetNodes(
        NodeSettings settings,
        HostId host,
        IPodHost podHost,
        GpuInventory inventory,
        ManagedPods pods,
        NodeStore store,
        TimeProvider time,
        ILogger<FleetNodes> logger)
    {
        this.settings = settings;
        this.host = host;
        this.podHost = podHost;
        this.inventory = inventory;
        this.pods = pods;
        this.store = store;
        this.time = time;
        this.logger = logger;
    }

    /// <summary>Completes when the GPUs of this gateway's node have been read.</summary>
    public Task Loaded => inventory.Loaded;

    /// <summary>Whether leaders on other machines may start workers here.</summary>
    public bool IsOffered => settings.Address is not null && !podHost.IsShared;

    /// <summary>This gateway's node.</summary>
    public FleetNode Own => new()
    {
        HostId = host.Value,
        Name = settings.Name,
        HostKind = settings.HostKind,
        RunsContainers = settings.RunsContainers,
        Address = IsOffered ? settings.Address : null,
        Cpus = settings.Cpus,
        Gpus = inventory.Current,
        Workers = pods.All.Count,
    };

    /// <summary>The nodes on which this gateway, as the leader, starts workers; its own one first.</summary>
    internal IReadOnlyList<FleetNode> Usable => SelectUsable(others);

    /// <summary>The GPUs of these nodes.</summary>
    internal FleetInventory Fleet => Merge(Usable);

    /// <summary>Announces this gateway's node, and on the leader reads those of the others.</summary>
    internal async Task ExchangeAsync(bool leads, CancellationToken ct)
    {
        if (podHost.IsShared) return;
        await AnnounceAsync(ct);
        var before = others.Count == 0 ? [] : NamesOf(Usable);
        // Only the leader uses the nodes, so the others need not read them.
        others = leads ? await ListAsync(ct) : [];
        if (!leads) return;
        var after = NamesOf(Usable);
        foreach (var node in after.Except(before)) NodeAdded(node);
        foreach (var node in before.Except(after)) NodeRemoved(node);
    }

    /// <summary>Ends the announcement, because this gateway stops.</summary>
    internal async Task WithdrawAsync()
    {
        if (!podHost.IsShared) await store.WithdrawAsync(host.Value, CancellationToken.None);
    }

    /// <summary>
    /// Returns the GPUs of the nodes that can run a template. Templates that the same nodes can run get the same
    /// object.
    /// </summary>
    /// <param name="template">The template.</param>
    /// <param name="failing">Hosts whose GPUs are not allocated, because another node is preferred; null: none.</param>
    internal FleetInventory FleetFor(Template template, IReadOnlySet<string>? failing = null)
    {
        var usable = Usable;
        var able = usable.Where(n => n.CanRun(template)).ToList();
        // The leader's own host reports why it cannot start the worker, if no other one can.
        if (able.Count == 0) able = [.. usable];
        return Merge(able, able.Count == 1 ? null : failing);
    }

    /// <summary>Returns the node on which a worker starts; null: on this gateway's one.</summary>
    /// <param name="template">The template of the worker.</param>
    /// <param name="gpuNode">The node of the worker's GPUs; null: it has none.</param>
    /// <param name="failures">The failed starts of the endpoint.</param>
    internal FleetNode? Choose(Template template, string? gpuNode, NodeFailures failures)
    {
        if (podHost.IsShared) return null;
        var usable = Usable;
        var hostId = gpuNode is null
            ? NodeSelection.Choose(usable, template, Avoided(), failures, time.GetUtcNow()).HostId
            : Merge(usable).Hosts.GetValueOrDefault(gpuNode, host.Value);
        return hostId == host.Value ? null : usable.FirstOrDefault(n => n.HostId == hostId);
    }

    /// <summary>Counts a worker that was ordered on another node, until its announcement contains it.</summary>
    internal void RecordOrder(string podId, string hostId) => recent[podId] = (hostId, time.GetUtcNow());

    /// <summary>Gives no orders to a host for a while, because it did not take one.</summary>
    internal void Avoid(string hostId)
    {
        if (hostId != host.Value) avoided[hostId] = time.GetUtcNow() + AvoidedFor;
    }

    /// <summary>Returns the nodes of all gateways, this one's first.</summary>
    public async Task<IReadOnlyList<FleetNode>> ReadAsync(CancellationToken ct) => podHost.IsShared ? [Own]
        : [Own, .. (await ListAsync(ct)).Where(n => n.HostId != host.Value)];

    /// <summary>
    /// Returns the GPUs on which the leader can start workers: those of the offered nodes, and of this gateway's one.
    /// </summary>
    public static Inventory MergeUsable(IReadOnlyList<FleetNode> nodes) =>
        FleetInventory.Merge(NodeSelection.SelectUsable(nodes[0], nodes), new HashSet<string>()).Inventory;

    private async Task AnnounceAsync(CancellationToken ct)
    {
        var own = Own;
        var isSame = announced is { } last && ReferenceEquals(last.Gpus, own.Gpus);
        var json = isSame ? announced!.Value.Json : NodeStore.Write(own);
        var isStored = await store.AnnounceAsync(host.Value, isSame ? null : json, own.Workers, ct);
        // Redis may have lost it.
        announced = isStored ? (own.Gpus, json) : null;
    }

    private async Task<IReadOnlyList<FleetNode>> ListAsync(CancellationToken ct)
    {
        var listed = await store.ListAsync(ct);
        foreach (var json in parsed.Keys.Except(listed.Select(n => n.Json))) parsed.TryRemove(json, out _);
        // The same text is the same object, so that the layout of its GPUs is computed once.
        return
        [
            .. listed.Select(n => parsed.GetOrAdd(
                n.Json, json => JsonSerializer.Deserialize(json, FleetNodeJson.Default.FleetNode)!) with
            {
                Workers = n.Workers,
            }),
        ];
    }

    private IReadOnlyList<FleetNode> SelectUsable(IReadOnlyList<FleetNode> announcements)
    {
        if (podHost.IsShared) return [Own];
        var since = time.GetUtcNow() - AnnouncedAfter;
        foreach (var old in recent.Where(r => r.Value.At < since)) recent.TryRemove(old);
        var ordered = recent.Values.ToLookup(r => r.HostId);
        return NodeSelection.SelectUsable(
            Own, [.. announcements.Select(n => n with { Workers = n.Workers + ordered[n.HostId].Count() })]);
    }

    private HashSet<string> Avoided()
    {
        var now = time.GetUtcNow();
        foreach (var old in avoided.Where(a => a.Value <= now)) avoided.TryRemove(old);
        return [.. avoided.Keys];
    }

    private FleetInventory Merge(IReadOnlyList<FleetNode> nodes, IReadOnlySet<string>? failing = null)
    {
        var unused = Avoided();
        unused.UnionWith(failing ?? new HashSet<string>());
        return cache.Merge(nodes, unused);
    }

    private static List<string> NamesOf(IReadOnlyList<FleetNode> nodes) => [.. nodes.Skip(1).Select(n => n.Name)];

    [LoggerMessage(LogLevel.Information, "Node {Node} added: this leader starts workers there too")]
    private partial void NodeAdded(string node);

    [LoggerMessage(LogLevel.Warning, "Node {Node} removed: its gateway stopped, or its lease has ended")]
    private partial void NodeRemoved(string node);
}
