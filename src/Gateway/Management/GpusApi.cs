using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;
using Sluice.ControlPlane.Machine;
using Sluice.ControlPlane.Nodes;
using Sluice.Domain.Declarations;
using Sluice.Domain.Fleet;
using Sluice.Domain.Gpus;
using Sluice.Domain.Nodes;
using Sluice.Domain.Notation;
using Sluice.Domain.Placement;
using Sluice.Gateway.Authentication;
using Sluice.Gateway.Http;
using Sluice.Storage.Fleet;

namespace Sluice.Gateway.Management;

/// <summary>
/// <c>/api/v1/gpus</c>: lists the GPUs with their nodes, users and waiting workers, and tests placements.
/// </summary>
public sealed class GpusApi(FleetNodes nodes, GpuInventory inventory, GpuStore store, HostId host)
{
    /// <summary>Maximum number of workers in one placement test.</summary>
    private const int MaxWorkers = 1000;

    /// <summary>The name of <see cref="Trial.Requests"/> in JSON.</summary>
    private const string RequestsField = "requests";

    private static readonly JsonTypeInfo<Trial> TrialType = (JsonTypeInfo<Trial>)new JsonSerializerOptions
    {
        PropertyNamingPolicy = JsonNamingPolicy.CamelCase,
        TypeInfoResolver = new DefaultJsonTypeInfoResolver(),
        Converters = { new SizeConverter() },
    }.GetTypeInfo(typeof(Trial));

    /// <summary>Maps the routes.</summary>
    public void Map(IEndpointRouteBuilder routes)
    {
        routes.MapRoute("GET", "/api/v1/gpus", AccessLevel.Read,
            "List the GPUs with slices, links, users and waiting workers",
            (HttpContext c) => AnswerAsync(c.RequestAborted));
        routes.MapRoute("GET", "/api/v1/gpus/catalogue", AccessLevel.Read,
            "List the GPU models that templates can request",
            () => new KindList(GpuModelCatalog.Models, GpuModelCatalog.Pools));
        routes.MapRoute("POST", "/api/v1/gpus/try", AccessLevel.Read,
            "Test a placement: return the devices that workers would get now, without starting them", TryAsync)
            .AcceptsJson<Trial>().Produces<TrialAnswer>();
    }

    private async Task<GpuList> AnswerAsync(CancellationToken ct)
    {
        var fleet = await nodes.ReadAsync(ct);
        var now = FleetInventory.Merge(fleet, new HashSet<string>()).Inventory;
        var users = (await store.ListAsync(ct)).SelectMany(h =>
            h.Devices.Select(d => (d.Uuid, User: new UserView(h.PodId, h.EndpointId, d.ShareMiB))))
            .ToLookup(u => u.Uuid, u => u.User);
        var gpus = now.Gpus.ToDictionary(g => g.Uuid);
        return new GpuList(host.Value, now.Source, inventory.ReadAt, now.Error, [.. now.Gpus.Select(View)],
            [.. now.Links.Select(l => new LinkView(gpus[l.A].Node, gpus[l.A].Index, gpus[l.B].Index,
                l.Kind == LinkKind.NV ? $"NV{l.NvLinks}" : $"{l.Kind}"))], await store.WaitsAsync(ct),
            [.. fleet.Select(n => new NodeView(n.Name, n.HostId, n.HostKind, n.IsOffered, n.Cpus, n.Workers,
                n.Gpus.Gpus.Count, n.Gpus.Error))]);

        GpuView View(Gpu gpu)
        {
            var model = GpuModelCatalog.Find(gpu.Name);
            UserView[] all = [.. users[gpu.Uuid]];
            return new GpuView(gpu.Index, gpu.Uuid, gpu.Name, model?.Id, gpu.Node,
                gpu.MemoryMiB, gpu.UsedMiB, FreeMiB(gpu, all), gpu.ComputeCapability.ToString(),
                Precisions.GetSupported(gpu.ComputeCapability), gpu.Driver, gpu.ComputeMode,
                gpu.Confidential, gpu.NvLinks.Active > 0 ? gpu.NvLinks : null, gpu.Fault,
                gpu.MigEnabled
                ? [.. gpu.Slices.Select(s => new SliceView(s.Uuid, s.Profile, users[s.Uuid].FirstOrDefault()))] : null,
                all);
        }
    }

    private static long FreeMiB(Gpu gpu, UserView[] users) =>
        gpu.Fault is not null || gpu.MigEnabled || users.Any(u => u.ShareMiB is null) ? 0
        : gpu.MemoryMiB - users.Sum(u => u.ShareMiB ?? 0);

    private async Task TryAsync(HttpContext context)
    {
        if (await JsonBody.ReadAsync(context) is not { } body) return;
        var errors = new List<FieldError>();
        var trial = DeclarationSerializer.Read(body.Node, TrialType, "", errors);
        if (trial is not null && trial.Requests.Sum(r => Math.Max(0L, r.Workers)) > MaxWorkers)
            errors.Add(new FieldError(RequestsField, "more workers", $"at most {MaxWorkers} workers in total"));
        for (var i = 0; i < trial?.Requests.Count; i++)
        {
            var field = $"{RequestsField}[{i}]";
            errors.AddRange(GpuRules.Check(trial.Requests[i].Gpu, field));
            if (trial.Requests[i].Workers < 1)
                errors.Add(new FieldError($"{field}.workers", $"{trial.Requests[i].Workers}", "1 or more"));
        }

        if (trial is null || errors.Count > 0)
        {
            await JsonBody.RefuseAsync(context, errors);
            return;
        }

        IReadOnlyList<GpuAllocation> running = trial.Idle ? [] : await store.ListAsync(context.RequestAborted);
        var usable = FleetNodes.MergeUsable(await nodes.ReadAsync(context.RequestAborted));
        var placed = PlacementPlanner.Place(usable, running, [.. trial.Requests.SelectMany(ToGpuRequests)]);
        var views = placed.Select(p => new TrialView(p.Request.EndpointId, p.Uuids,
            p.Devices is [var first, ..] ? first.ShareMiB : null, p.Node, p.Refusal));
        await context.Response.WriteAsJsonAsync(new TrialAnswer([.. views]), context.RequestAborted);
    }

    private static IEnumerable<GpuRequest> ToGpuRequests(TrialRequest request, int n)
    {
        var endpoint = request.Endpoint ?? $"request {n}";
        var gpu = new GpuRequest
        {
            Id = $"a worker of {endpoint}",
            EndpointId = endpoint,
            Needs = request.Gpu,
            Priority = request.Priority,
            Weight = Math.Max(1, request.Weight),
        };
        return Enumerable.Repeat(gpu, request.Workers);
    }

    /// <summary>The response to <c>GET /api/v1/gpus</c>.</summary>
    public sealed record GpuList(string Host, string Source, DateTimeOffset ReadAt, string? Error,
        IReadOnlyList<GpuView> Gpus,
        IReadOnlyList<LinkView> Links, IReadOnlyList<GpuWait> Waiting, IReadOnlyList<NodeView> Nodes);

    /// <summary>
    /// The machine of a gateway. <paramref name="Offered"/>: leaders on other machines start workers there, because its
    /// gateway has SLUICE_NODE_ADDRESS. <paramref name="Error"/>: why its GPUs could not be read.
    /// </summary>
    public sealed record NodeView(string Name, string Host, string HostKind, bool Offered, int Cpus, int Workers,
        int Gpus, string? Error);

    /// <summary>
    /// A GPU. <paramref name="Model"/> is its id in the list of GPU models. <paramref name="UsedMiB"/> is the memory
    /// that all processes use, including processes that the gateway did not start.
    /// </summary>
    public sealed record GpuView(int Index, string Uuid, string Name, string? Model, string Node, long MemoryMiB,
        long? UsedMiB, long FreeMiB, string ComputeCapability,
        IReadOnlyList<string> Precisions, string? Driver, ComputeMode ComputeMode, ConfidentialState Confidential,
        NvLinks? NvLinks, string? Fault,
        IReadOnlyList<SliceView>? Mig, IReadOnlyList<UserView> Users);

    /// <summary>A MIG slice and its only user.</summary>
    public sealed record SliceView(string Uuid, MigProfile Profile, UserView? User);

    /// <summary>A pod that uses a device or a share of it.</summary>
    public sealed record UserView(string Worker, string Endpoint, long? ShareMiB);

    /// <summary>The link between two GPUs of a node by index, in the notation of nvidia-smi topo -m.</summary>
    public sealed record LinkView(string Node, int A, int B, string Way);

    /// <summary>The response to <c>GET /api/v1/gpus/catalogue</c>.</summary>
    public sealed record KindList(IReadOnlyList<GpuModel> Kinds, IReadOnlyList<string> Pools);

    /// <summary>The body of a placement test.</summary>
    public sealed record Trial
    {
        /// <summary>The workers to place.</summary>
        public required IReadOnlyList<TrialRequest> Requests { get; init; }

        /// <summary>Whether to ignore the running workers.</summary>
        public bool Idle { get; init; }
    }

    /// <summary>Workers of one endpoint with the same GPU requirements.</summary>
    public sealed record TrialRequest
    {
        public required GpuRequirements Gpu { get; init; }

        public string? Endpoint { get; init; }

        public int Workers { get; init; } = 1;

        public int Priority { get; init; }

        public int Weight { get; init; } = 1;
    }

    /// <summary>The placement of each worker, in the order of the request.</summary>
    public sealed record TrialAnswer(IReadOnlyList<TrialView> Placed);

    /// <summary>The devices of one worker, or the reason why it has none.</summary>
    public sealed record TrialView(string Endpoint, IReadOnlyList<string> Devices, long? ShareMiB,
        [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? Node,
        [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] PlacementRefusal? Refusal);
}
