using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;
using Sluice.Core.Endpoints;
using Sluice.Core.Gpus;
using Sluice.Core.Workers;
using Sluice.Gateway.Auth;

namespace Sluice.Gateway.Api;

/// <summary><c>/api/v1/gpus</c>: what this gateway's machine has, who uses it, who waits for it, and what would fit.</summary>
public sealed class GpusApi(GpuInventory inventory, GpuStore store, HostId host)
{
    /// <summary>Wishes of one trial.</summary>
    private const int MaxWishes = 1000;

    private static readonly JsonTypeInfo<Trial> TrialType = (JsonTypeInfo<Trial>)new JsonSerializerOptions
    {
        PropertyNamingPolicy = JsonNamingPolicy.CamelCase,
        TypeInfoResolver = new DefaultJsonTypeInfoResolver(),
        Converters = { new SizeConverter() },
    }.GetTypeInfo(typeof(Trial));

    public void Map(IEndpointRouteBuilder routes)
    {
        routes.On("GET", "/api/v1/gpus", Demand.Admin, "This machine's GPUs: slices, links, who uses them, who waits", (HttpContext c) => AnswerAsync(c.RequestAborted));
        routes.On("GET", "/api/v1/gpus/catalogue", Demand.Admin, "The kinds of GPUs that templates can ask for", () => new KindList(Catalogue.Models, Catalogue.Pools));
        routes.On("POST", "/api/v1/gpus/try", Demand.Admin, "Which devices workers would get now, if they were started; nothing is", TryAsync)
            .Takes<Trial>().Produces<TrialAnswer>();
    }

    private async Task<GpuList> AnswerAsync(CancellationToken ct)
    {
        var now = inventory.Current;
        var users = (await store.ListAsync(ct)).SelectMany(h => h.Devices.Select(d => (d.Uuid, User: new UserView(h.PodId, h.EndpointId, d.ShareMiB))))
            .ToLookup(u => u.Uuid, u => u.User);
        var index = now.Gpus.ToDictionary(g => g.Uuid, g => g.Index);
        return new GpuList(host.Value, now.Source, inventory.ReadAt, now.Error, [.. now.Gpus.Select(View)],
            [.. now.Links.Select(l => new LinkView(index[l.A], index[l.B], l.Kind == LinkKind.NV ? $"NV{l.NvLinks}" : $"{l.Kind}"))], await store.WaitsAsync(ct));

        GpuView View(Gpu gpu)
        {
            var model = Catalogue.Find(gpu.Name);
            UserView[] all = [.. users[gpu.Uuid]];
            return new GpuView(gpu.Index, gpu.Uuid, gpu.Name, model?.Id, gpu.Node.Length > 0 ? gpu.Node : null, gpu.MemoryMiB, gpu.UsedMiB,
                FreeMiB(gpu, all), gpu.ComputeCapability.ToString(), Precisions.GetSupported(gpu.ComputeCapability), gpu.Driver, gpu.ComputeMode,
                gpu.Confidential, gpu.NvLinks.Active > 0 ? gpu.NvLinks : null, gpu.Fault,
                gpu.MigEnabled ? [.. gpu.Slices.Select(s => new SliceView(s.Uuid, s.Profile, users[s.Uuid].FirstOrDefault()))] : null, all);
        }
    }

    private static long FreeMiB(Gpu gpu, UserView[] users) => gpu.Fault is not null || gpu.MigEnabled || users.Any(u => u.ShareMiB is null) ? 0
        : gpu.MemoryMiB - users.Sum(u => u.ShareMiB ?? 0);

    private async Task TryAsync(HttpContext context)
    {
        if (await JsonBody.ReadAsync(context) is not { } body) return;
        var errors = new List<FieldError>();
        var trial = Declarations.Read(body.Node, TrialType, "", errors);
        if (trial is not null && trial.Wishes.Sum(w => Math.Max(0L, w.Workers)) > MaxWishes)
            errors.Add(new FieldError("wishes", "more workers", $"at most {MaxWishes} together"));
        for (var i = 0; i < trial?.Wishes.Count; i++)
        {
            errors.AddRange(GpuRules.Check(trial.Wishes[i].Gpu, $"wishes[{i}]"));
            if (trial.Wishes[i].Workers < 1) errors.Add(new FieldError($"wishes[{i}].workers", $"{trial.Wishes[i].Workers}", "1 or more"));
        }

        if (trial is null || errors.Count > 0)
        {
            await JsonBody.RefuseAsync(context, errors);
            return;
        }

        IReadOnlyList<GpuHolding> running = trial.Idle ? [] : await store.ListAsync(context.RequestAborted);
        var placed = Placement.Place(inventory.Current, running, [.. trial.Wishes.SelectMany(WishesOf)]);
        var views = placed.Select(p => new TrialView(p.Request.EndpointId, p.Uuids, p.Devices is [var first, ..] ? first.ShareMiB : null, p.Refusal));
        await context.Response.WriteAsJsonAsync(new TrialAnswer([.. views]), context.RequestAborted);
    }

    private static IEnumerable<GpuWish> WishesOf(TrialWish wish, int n) => Enumerable.Repeat(new GpuWish
    {
        Id = $"a worker of {wish.Endpoint ?? $"wish {n}"}",
        EndpointId = wish.Endpoint ?? $"wish {n}",
        Needs = wish.Gpu,
        Priority = wish.Priority,
        Weight = Math.Max(1, wish.Weight),
    }, wish.Workers);

    /// <summary>Answer to the list.</summary>
    public sealed record GpuList(string Host, string Source, DateTimeOffset ReadAt, string? Error, IReadOnlyList<GpuView> Gpus,
        IReadOnlyList<LinkView> Links, IReadOnlyList<GpuWait> Waiting);

    /// <summary>A GPU; <paramref name="Model"/> is its entry in the catalogue, <paramref name="UsedMiB"/> what processes use, whoever started them.</summary>
    public sealed record GpuView(int Index, string Uuid, string Name, string? Model, string? Node, long MemoryMiB, long? UsedMiB, long FreeMiB, string ComputeCapability,
        IReadOnlyList<string> Precisions, string? Driver, ComputeMode ComputeMode, ConfidentialState Confidential, NvLinks? NvLinks, string? Fault,
        IReadOnlyList<SliceView>? Mig, IReadOnlyList<UserView> Users);

    /// <summary>A MIG slice and its one user.</summary>
    public sealed record SliceView(string Uuid, MigProfile Profile, UserView? User);

    /// <summary>A pod that has a device, or a part of one.</summary>
    public sealed record UserView(string Worker, string Endpoint, long? ShareMiB);

    /// <summary>How two GPUs reach each other, as nvidia-smi topo -m says it.</summary>
    public sealed record LinkView(int A, int B, string Way);

    /// <summary>Answer to the catalogue.</summary>
    public sealed record KindList(IReadOnlyList<GpuModel> Kinds, IReadOnlyList<string> Pools);

    /// <summary>Workers to try.</summary>
    public sealed record Trial
    {
        public required IReadOnlyList<TrialWish> Wishes { get; init; }

        /// <summary>As if nothing ran.</summary>
        public bool Idle { get; init; }
    }

    /// <summary>Workers of one endpoint.</summary>
    public sealed record TrialWish
    {
        public required GpuNeeds Gpu { get; init; }

        public string? Endpoint { get; init; }

        public int Workers { get; init; } = 1;

        public int Priority { get; init; }

        public int Weight { get; init; } = 1;
    }

    /// <summary>What each would get, in the order of the wishes.</summary>
    public sealed record TrialAnswer(IReadOnlyList<TrialView> Placed);

    /// <summary>One worker's devices, or why it gets none.</summary>
    public sealed record TrialView(string Endpoint, IReadOnlyList<string> Devices, long? ShareMiB,
        [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] PlacementRefusal? Refusal);
}
