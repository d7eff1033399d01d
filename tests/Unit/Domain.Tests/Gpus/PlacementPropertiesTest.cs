using FsCheck;
using FsCheck.Fluent;
using Sluice.Domain.Gpus;
using Sluice.Domain.Notation;
using Sluice.Domain.Placement;
using Sluice.Testing;

namespace Sluice.Domain.Tests.Gpus;

/// <summary>Properties of placement for every inventory, every running pod and every list of requests.</summary>
public sealed class PlacementPropertiesTest
{
    private static readonly int Runs = RandomCases.Count(400);

    private static readonly string[] Names =
        ["Tesla T4", "NVIDIA L4", "NVIDIA A100-SXM4-80GB", "NVIDIA H100 80GB HBM3"];
    private static readonly GpuRequirements[] Wanted =
    [
        new(), new() { Types = ["A100", "L4"] }, new() { Precision = Precision.Fp8 },
        new() { Count = 2 }, new() { Count = 3 },
        new() { Count = 2, NvLink = true }, new() { Count = 3, NvLink = true },
        new() { Share = new MemoryShare(0, 6 * 1024) }, new() { Share = new MemoryShare(30, 0) },
        new() { Share = new MemoryShare(100, 0) },
        new() { Mig = MigProfile.Parse("1g.10gb") }, new() { MinMig = MigProfile.Parse("2g.10gb") },
        new() { MinMemory = 30L << 30 }, new() { Types = ["B200"] },
    ];

    /// <summary>All arguments of one call.</summary>
    public sealed record Situation(
        Inventory Inventory, IReadOnlyList<GpuAllocation> Running, IReadOnlyList<GpuRequest> Requests);

    private static Gen<Situation> Situations =>
        from gpus in Gen.Choose(0, 9).SelectMany(n => Gen.ArrayOf(Gen.Choose(0, 999), n))
        from early in AnyRequests
        from late in AnyRequests
        let inventory = Build(gpus)
        let first = PlacementPlanner.Place(inventory, [], early)
        let placed = first.Where(p => p.Refusal is null)
        let running = placed.Select(p => new GpuAllocation("run-" + p.Request.Id, p.Request.EndpointId, p.Devices))
        select new Situation(inventory, [.. running], late);

    private static Gen<GpuRequest[]> AnyRequests => Gen.ArrayOf(
        from needs in Gen.Elements(Wanted)
        from endpoint in Gen.Choose(0, 4)
        select new GpuRequest { Id = "", EndpointId = $"e{endpoint}", Needs = needs, Priority = endpoint / 2,
            Weight = 1 + endpoint })
        .Select(all => all.Select((w, n) => w with { Id = $"w{n}" }).ToArray());

    [Fact]
    public void No_device_is_allocated_twice_and_no_memory_exceeded() => ForAll(c =>
    {
        var given = c.Running.SelectMany(r => r.Devices)
            .Concat(PlacementPlanner.Place(c.Inventory, c.Running, c.Requests).SelectMany(p => p.Devices))
                .ToLookup(d => d.Uuid);
        foreach (var gpu in c.Inventory.Gpus)
        {
            Assert.True(given[gpu.Uuid].Count() <= 1 || given[gpu.Uuid].All(d => d.ShareMiB is not null));
            Assert.True(given[gpu.Uuid].Sum(d => d.ShareMiB ?? 0) <= gpu.MemoryMiB);
            Assert.True(gpu is { MigEnabled: false, Fault: null } || !given[gpu.Uuid].Any());
            Assert.All(gpu.Slices, s => Assert.True(given[s.Uuid].Count() <= (gpu.Fault is null ? 1 : 0)));
        }

        var known = c.Inventory.Gpus.SelectMany(g => g.Slices.Select(s => s.Uuid).Append(g.Uuid)).ToHashSet();
        Assert.All(given, g => Assert.Contains(g.Key, known));
    });

    [Fact]
    public void Each_allocation_satisfies_its_request() => ForAll(c =>
    {
        var byUuid = c.Inventory.Gpus.SelectMany(
            g => g.Slices.Select(s => (s.Uuid, Gpu: g, Slice: (MigSlice?)s)).Append((g.Uuid, g, null)))
            .ToDictionary(d => d.Uuid);
        foreach (var placed in PlacementPlanner.Place(c.Inventory, c.Running, c.Requests).Where(p => p.Refusal is null))
        {
            var needs = placed.Request.Needs;
            var devices = placed.Devices.Select(d => byUuid[d.Uuid]).ToList();
            Assert.Equal(needs.Count, devices.Select(d => d.Uuid).Distinct().Count());
            Assert.Single(devices.Select(d => $"{d.Gpu.Name} on {d.Gpu.Node}").Distinct());
            Assert.All(devices, d =>
            {
                Assert.Equal(needs.Mig is not null || needs.MinMig is not null, d.Slice is not null);
                Assert.True(needs.Mig is null || d.Slice!.Profile == needs.Mig);
                Assert.True(needs.MinMig is null || d.Slice!.Profile.Covers(needs.MinMig));
                Assert.True(needs.Types.Count == 0
                    || needs.Types.Any(t => GpuModelCatalog.IsMatch(t, d.Gpu.Name, GpuModelCatalog.Find(d.Gpu.Name))));
                Assert.True(needs.Precision is not { } p || d.Gpu.ComputeCapability >= Precisions.Least(p));
                Assert.True(d.Gpu.MemoryMiB >= needs.MinMemory >> 20);
                Assert.Equal(needs.Share?.ToMiB(d.Gpu.MemoryMiB), placed.Devices.First(x => x.Uuid == d.Uuid).ShareMiB);
            });
        }
    });

    [Fact]
    public void A_request_for_one_is_refused_only_without_a_matching_unreserved_device() => ForAll(c =>
    {
        var placed = PlacementPlanner.Place(c.Inventory, c.Running, c.Requests);
        var granted = placed.Where(p => p.Refusal is null)
            .Select(p => new GpuAllocation(p.Request.Id, p.Request.EndpointId, p.Devices));
        IReadOnlyList<GpuAllocation> after = [.. c.Running, .. granted];
        foreach (var refused in placed.Where(p => p.Refusal is not null))
        {
            var isReserved = placed.Any(p => p.Refusal is { Never: false } && p.Request.Needs.Count > 1
                && p.Request.Priority > refused.Request.Priority);
            if (isReserved) continue;
            var alone = PlacementPlanner.Place(c.Inventory, after, [refused.Request])[0];
            Assert.True(alone.Refusal is not null, $"{refused.Request.Needs} was refused: {refused.Refusal}");
            // Checks independently of the code under test.
            if (refused.Request.Needs is { Count: 1, Types: [], Share: null, Mig: null, MinMig: null, Precision: null,
                MinMemory: 0 })
            {
                Assert.DoesNotContain(c.Inventory.Gpus, g => g is { Fault: null, MigEnabled: false }
                    && !after.Any(h => h.Devices.Any(d => d.Uuid == g.Uuid)));
            }
        }
    });

    [Fact]
    public void Never_excludes_idle_machines_and_now_includes_them() => ForAll(c =>
    {
        foreach (var refused in PlacementPlanner.Place(c.Inventory, c.Running, c.Requests).Where(p => p.Refusal is not null))
        {
            var idle = PlacementPlanner.Place(
                c.Inventory with { Gpus = [.. c.Inventory.Gpus.Select(g => g with { Fault = null })] }, [],
                [refused.Request])[0];
            Assert.Equal(refused.Refusal!.Never, idle.Refusal is not null);
        }
    });

    [Fact]
    public void Equal_inputs_give_equal_results() => ForAll(c =>
    {
        static string Text(IReadOnlyList<Placed> placed) =>
            string.Join('\n', placed.Select(p => $"{p.Request.Id} {string.Join(',', p.Devices)} {p.Refusal}"));
        Assert.Equal(Text(PlacementPlanner.Place(c.Inventory, c.Running, c.Requests)),
            Text(PlacementPlanner.Place(c.Inventory, c.Running, [.. c.Requests])));
        Assert.Equal(c.Requests.Select(w => w.Id),
            PlacementPlanner.Place(c.Inventory, c.Running, c.Requests).Select(p => p.Request.Id));
    });

    private static void ForAll(Action<Situation> holds) =>
        Check.One(Config.QuickThrowOnFailure.WithMaxTest(Runs), Prop.ForAll(Arb.From(Situations), holds));

    /// <summary>Creates one GPU per number, which determines model, machine, MIG mode, fault and links.</summary>
    private static Inventory Build(int[] numbers)
    {
        var gpus = numbers.Select((n, i) => new Gpu
        {
            Index = i,
            Uuid = $"GPU-{i}",
            Name = Names[n % 4],
            Node = n / 4 % 2 == 0 ? "a" : "b",
            MemoryMiB = GpuModelCatalog.Find(Names[n % 4])!.MemoryGb * 1024L,
            ComputeCapability = GpuModelCatalog.Find(Names[n % 4])!.ComputeCapability,
            MigEnabled = n % 4 > 1 && n / 8 % 4 == 0,
            Slices = n % 4 > 1 && n / 8 % 4 == 0
                ?
                [
                    new($"MIG-{i}-0", MigProfile.Parse("1g.10gb")!, 0),
                    new($"MIG-{i}-1", MigProfile.Parse("3g.40gb")!, 1),
                ]
                : [],
            Fault = n / 32 % 8 == 0 ? "ill" : null,
        }).ToList();
        var links = gpus.SelectMany((a, i) => gpus.Skip(i + 1).Where(b => a.Node == b.Node).Select(b =>
            a.Name == b.Name && numbers[i] % 3 > 0 ? new GpuLink(a.Uuid, b.Uuid, LinkKind.NV, numbers[i] % 3)
                : new GpuLink(a.Uuid, b.Uuid, LinkKind.SYS, 0)));
        return new Inventory { Gpus = gpus, Links = [.. links] };
    }
}
