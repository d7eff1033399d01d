using Sluice.ControlPlane.Machine;
using Sluice.Domain.Declarations;
using Sluice.Domain.Gpus;
using Sluice.Domain.Placement;

namespace Sluice.Domain.Tests.Gpus;

/// <summary>Helpers for inventories and requests.</summary>
internal static class Fleet
{
    /// <summary>One GPU of every tested model: V100, T4, A100, L40S, H100, H200 (in MIG mode), B200.</summary>
    public const string Mixed = """
        { "gpus": [
            { "name": "Tesla V100-SXM2-16GB" }, { "name": "Tesla T4", "count": 2 },
            { "name": "NVIDIA A100-SXM4-80GB", "count": 2, "nvLinks": 12 }, { "name": "NVIDIA L40S" },
            { "name": "NVIDIA H100 80GB HBM3" },
            { "name": "NVIDIA H200", "mig": [{ "profile": "1g.18gb", "count": 2 }, { "profile": "2g.35gb" }] },
            { "name": "NVIDIA B200" } ] }
        """;

    public static Inventory Of(string json)
    {
        var (inventory, errors) = InventoryFile.Parse(json, "test");
        Assert.Empty(errors);
        return inventory!;
    }

    /// <summary>The topology of a real machine with the given number of GPUs of one model.</summary>
    public static Inventory Of(string name, int count, string topology)
    {
        var gpus = Of($$"""{ "gpus": [{ "name": "{{name}}", "count": {{count}} }] }""").Gpus;
        return NvidiaSmi.Combine(
            gpus, NvidiaSmiParser.Slices(""), NvidiaSmiParser.Topology(topology), NvidiaSmiParser.NvLinks(""), ConfidentialState.Off);
    }

    public static GpuRequest Request(
        string endpoint, GpuRequirements needs, int priority = 0, int weight = 1, string? id = null) =>
        new() { Id = id ?? endpoint, EndpointId = endpoint, Needs = needs, Priority = priority, Weight = weight };

    /// <summary>Returns the devices of one request as indexes of GPUs; a slice as <c>index:profile</c>.</summary>
    public static string Gets(Inventory inventory, GpuRequirements needs, params GpuAllocation[] running) =>
        Shown(inventory, PlacementPlanner.Place(inventory, running, [Request("e", needs)])[0]);

    public static string Shown(Inventory inventory, Placed placed) =>
        placed.Refusal is { } refusal ? (refusal.Never ? "never: " : "now: ") + refusal.Part
        : string.Join(' ', placed.Uuids.Select(u => inventory.Gpus.Select(g => g.Uuid == u ? $"{g.Index}"
            : g.Slices.FirstOrDefault(s => s.Uuid == u) is { } slice ? $"{g.Index}:{slice.Profile}" : null)
                .First(t => t is not null)));

    /// <summary>Returns a pod that uses these GPUs.</summary>
    public static GpuAllocation Has(Inventory inventory, string endpoint, params int[] gpus) =>
        new($"{endpoint}-1", endpoint, [.. gpus.Select(g => new HeldDevice(inventory.Gpus[g].Uuid))]);
}
