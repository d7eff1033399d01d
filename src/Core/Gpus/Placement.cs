namespace Sluice.Core.Gpus;

/// <summary>A device that a pod has.</summary>
/// <param name="Uuid">Of a GPU or a MIG slice.</param>
/// <param name="ShareMiB">Its part of the GPU's memory, MiB; null: all of it, alone.</param>
public readonly record struct HeldDevice(string Uuid, long? ShareMiB = null);

/// <summary>A pod that has devices now.</summary>
public sealed record GpuHolding(string PodId, string EndpointId, IReadOnlyList<HeldDevice> Devices);

/// <summary>A pod that is to have devices.</summary>
public sealed record GpuWish
{
    /// <summary>Whatever tells wishes apart; the answer carries it.</summary>
    public required string Id { get; init; }

    public required string EndpointId { get; init; }

    public required GpuNeeds Needs { get; init; }

    /// <summary>The endpoint's: higher ones are served first.</summary>
    public int Priority { get; init; }

    /// <summary>The endpoint's share beside others of its priority, 1 or more.</summary>
    public int Weight { get; init; } = 1;
}

/// <summary>What one wish got: devices, or the reason why not.</summary>
/// <param name="Wish">The wish.</param>
/// <param name="Devices">Its devices; empty when it was refused.</param>
/// <param name="Refusal">Why it was refused; null: it was not.</param>
public sealed record Placed(GpuWish Wish, IReadOnlyList<HeldDevice> Devices, PlacementRefusal? Refusal)
{
    /// <summary>The devices' UUIDs, as <c>CUDA_VISIBLE_DEVICES</c> takes them.</summary>
    public IReadOnlyList<string> Uuids => [.. Devices.Select(d => d.Uuid)];
}

/// <summary>Why a wish got no device.</summary>
/// <param name="Never">Whether it cannot be met on these machines, whatever is free; else devices are missing now.</param>
/// <param name="Part">The field of the needs that cannot be met: <c>types</c>, <c>mig</c>, <c>share</c>, <c>precision</c>, <c>count</c>, ...;
/// <c>gpu</c>: none of them alone.</param>
/// <param name="Reason">In words.</param>
/// <param name="WouldFit">What could be had instead, in words; empty: nothing.</param>
public sealed record PlacementRefusal(bool Never, string Part, string Reason, string WouldFit)
{
    public override string ToString() => WouldFit.Length > 0 ? $"{Reason}; {WouldFit}" : Reason;
}

/// <summary>
/// Which pod gets which GPUs. Pure, and the same for the same input: a leader decides by it, and the simulator too.
/// <list type="number">
/// <item>Order: by priority; within one, the endpoint that holds the least GPU memory for its weight is next (weighted max-min). Nothing that runs is
/// taken away. An endpoint may have more than its share while nobody else waits.</item>
/// <item>Devices: the first kind of <see cref="GpuNeeds.Types"/> that has one. Of equals the best fit, so that large things stay whole: an opened GPU before a fresh
/// one (shares), no confidential one unless asked, the least memory, the machine, NVLink group or cut GPU of which the least is left.</item>
/// <item>Several GPUs: of one kind on one machine; those whose weakest connection is the best.</item>
/// <item>A wish for several that waits keeps what is free of them from wishes of lower priority: else one-GPU pods would starve it.</item>
/// </list>
/// </summary>
public static class Placement
{
    /// <summary>Answers each wish, in the order of <paramref name="wishes"/>.</summary>
    public static IReadOnlyList<Placed> Place(Inventory inventory, IReadOnlyList<GpuHolding> running, IReadOnlyList<GpuWish> wishes)
    {
        if (wishes.Count == 0) return [];
        var board = new PlacementBoard(inventory, running);
        var answers = new Placed[wishes.Count];
        foreach (var priority in wishes.Select((w, i) => (Wish: w, Index: i)).GroupBy(w => w.Wish.Priority).OrderByDescending(g => g.Key))
        {
            Serve(board, [.. priority.GroupBy(w => w.Wish.EndpointId).Select(g => new Flow(g.Key, [.. g]))], answers);
            board.Keep();
        }

        return answers;
    }

    /// <summary>Why a wish with these needs could not be met even on idle machines; null: it could.</summary>
    public static PlacementRefusal? WhyNever(Inventory inventory, GpuNeeds needs) =>
        Place(inventory, [], [new GpuWish { Id = "", EndpointId = "", Needs = needs }])[0].Refusal is { Never: true } never ? never : null;

    /// <summary>One priority: progressive filling, the poorest endpoint first.</summary>
    private static void Serve(PlacementBoard board, IReadOnlyList<Flow> flows, Placed[] answers)
    {
        var order = new PriorityQueue<Flow, (double Held, string Endpoint)>(Comparer<(double Held, string Endpoint)>.Create((a, b) =>
            a.Held.CompareTo(b.Held) is not 0 and var held ? held : string.CompareOrdinal(a.Endpoint, b.Endpoint)));
        foreach (var flow in flows) order.Enqueue(flow, (Share(flow), flow.EndpointId));
        while (order.TryDequeue(out var flow, out _))
        {
            var (wish, index) = flow.Wishes[flow.Next++];
            answers[index] = board.Answer(wish);
            if (flow.Next < flow.Wishes.Count) order.Enqueue(flow, (Share(flow), flow.EndpointId));
        }

        double Share(Flow flow) => board.HeldMiB(flow.EndpointId) / Math.Max(1, flow.Wishes[flow.Next].Wish.Weight);
    }

    /// <summary>An endpoint's wishes of one priority.</summary>
    private sealed class Flow(string endpointId, IReadOnlyList<(GpuWish Wish, int Index)> wishes)
    {
        public string EndpointId { get; } = endpointId;

        public IReadOnlyList<(GpuWish Wish, int Index)> Wishes { get; } = wishes;

        public int Next { get; set; }
    }
}
