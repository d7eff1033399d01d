using System.Globalization;

namespace Sluice.Worker.Providers;

/// <summary>A node of a model's graph, as ONNX Runtime gave it to a provider.</summary>
/// <param name="Provider"><c>tensorrt</c>, <c>cuda</c>, <c>webgpu</c> or <c>cpu</c>.</param>
/// <param name="Name">The node's own name; may be empty.</param>
/// <param name="Operator">Its operator's type, such as <c>Conv</c>.</param>
public sealed record PlacedNode(string Provider, string Name, string Operator);

/// <summary>What one provider runs of a model.</summary>
/// <param name="Provider"><c>tensorrt</c>, <c>cuda</c>, <c>webgpu</c> or <c>cpu</c>.</param>
/// <param name="Nodes">How many nodes of the optimised graph.</param>
/// <param name="Share">Of all nodes, 0 to 1. A share of nodes, not of time: one large convolution counts as one.</param>
public sealed record ProviderShare(string Provider, int Nodes, double Share);

/// <summary>Where a model's nodes were placed, as its first run told; see <see cref="PlacementProfile"/>.</summary>
public sealed record ModelPlacement(IReadOnlyList<PlacedNode> Placed)
{
    /// <summary>False: the first run stopped before its end, so only what ran until then was counted.</summary>
    public bool Complete { get; init; } = true;

    /// <summary>Most nodes first; a provider that got none is not listed.</summary>
    public IReadOnlyList<ProviderShare> Shares { get; } = [.. Placed.GroupBy(n => n.Provider)
        .Select(g => new ProviderShare(g.Key, g.Count(), (double)g.Count() / Placed.Count))
        .OrderByDescending(s => s.Nodes).ThenBy(s => s.Provider, StringComparer.Ordinal)];

    /// <summary>Nodes on a provider.</summary>
    public int On(string provider) => Shares.FirstOrDefault(s => s.Provider == provider)?.Nodes ?? 0;

    /// <summary>Operator types on the CPU with their counts, most first: <c>Gather 3, Shape 2</c>.</summary>
    public string CpuOperators => string.Join(", ", Placed.Where(n => n.Provider == "cpu").GroupBy(n => n.Operator)
        .OrderByDescending(g => g.Count()).ThenBy(g => g.Key, StringComparer.Ordinal).Select(g => $"{g.Key} {g.Count()}"));

    /// <summary>Why this placement may not be served, or null.</summary>
    /// <param name="model">The model's name, for the sentence.</param>
    /// <param name="had">Wished providers that could be had, in order.</param>
    /// <param name="settings">Whether nodes on the CPU are allowed, and whether the wish is a demand.</param>
    public string? Refusal(string model, IReadOnlyList<string> had, ProviderSettings settings)
    {
        if (!settings.WishesGpu) return null;
        if (!Complete && !settings.AllowCpuNodes)
            return $"model {model}: its first run, on zeros, was refused by the model, so that no node lands on the CPU (SLUICE_ALLOW_CPU_NODES=0) cannot be shown";
        if (Placed.Count == 0 || !Complete && On("cpu") == Placed.Count) return null;
        if (!settings.AllowCpuNodes && On("cpu") is > 0 and var onCpu)
            return $"model {model}: {onCpu} of {Placed.Count} nodes run on the CPU ({CpuOperators}), which SLUICE_ALLOW_CPU_NODES=0 forbids";
        if (settings.Policy == ProviderPolicy.Prefer || had.Count == 0 || had[0] == "cpu" || On(had[0]) > 0) return null;
        return $"model {model}: {had[0]} took none of its {Placed.Count} nodes ({this}); put another provider first in "
            + "SLUICE_EXECUTION_PROVIDERS, or set SLUICE_PROVIDER_POLICY=prefer";
    }

    /// <summary><c>cuda 118/120 (98.3 %), cpu 2/120 (1.7 %)</c></summary>
    public override string ToString() => (Placed.Count == 0 ? "no nodes" : string.Join(", ", Shares.Select(s => string.Create(
        CultureInfo.InvariantCulture, $"{s.Provider} {s.Nodes}/{Placed.Count} ({s.Share * 100:0.#} %)")))) + (Complete ? "" : ", of those that ran on zeros");
}
