using System.Globalization;

namespace Sluice.Worker.Providers;

/// <summary>A node of a model's graph and the provider to which ONNX Runtime assigned it.</summary>
/// <param name="Provider"><c>tensorrt</c>, <c>cuda</c>, <c>webgpu</c> or <c>cpu</c>.</param>
/// <param name="Name">Name of the node. Can be empty.</param>
/// <param name="Operator">Operator type, for example <c>Conv</c>.</param>
public sealed record PlacedNode(string Provider, string Name, string Operator);

/// <summary>The share of a model's nodes that one provider runs.</summary>
/// <param name="Provider"><c>tensorrt</c>, <c>cuda</c>, <c>webgpu</c> or <c>cpu</c>.</param>
/// <param name="Nodes">Number of nodes of the optimized graph.</param>
/// <param name="Share">Share of all nodes, 0 to 1. It is not a share of time: one large convolution counts as
/// one.</param>
public sealed record ProviderShare(string Provider, int Nodes, double Share);

/// <summary>
/// The providers of a model's nodes, as observed in its first run. See <see cref="PlacementProfile"/>.
/// </summary>
public sealed record ModelPlacement(IReadOnlyList<PlacedNode> Placed)
{
    /// <summary>False if the first run stopped early, so that only the nodes up to that point were counted.</summary>
    public bool Complete { get; init; } = true;

    /// <summary>Shares of the providers, largest first. A provider without nodes is not listed.</summary>
    public IReadOnlyList<ProviderShare> Shares { get; } = [.. Placed.GroupBy(n => n.Provider)
        .Select(g => new ProviderShare(g.Key, g.Count(), (double)g.Count() / Placed.Count))
        .OrderByDescending(s => s.Nodes).ThenBy(s => s.Provider, StringComparer.Ordinal)];

    /// <summary>Returns the number of nodes on a provider.</summary>
    public int On(string provider) => Shares.FirstOrDefault(s => s.Provider == provider)?.Nodes ?? 0;

    /// <summary>Operator types on the CPU with their counts, largest count first: <c>Gather 3, Shape 2</c>.</summary>
    public string CpuOperators => string.Join(", ", Placed.Where(n => n.Provider == "cpu").GroupBy(n => n.Operator)
        .OrderByDescending(g => g.Count()).ThenBy(g => g.Key, StringComparer.Ordinal)
        .Select(g => $"{g.Key} {g.Count()}"));

    /// <summary>Returns why a model with this placement must not be served, or null.</summary>
    /// <param name="model">Name of the model, for the message.</param>
    /// <param name="available">Requested providers that are available, in order.</param>
    /// <param name="settings">Defines whether nodes on the CPU are allowed and whether providers are required.</param>
    public string? Refusal(string model, IReadOnlyList<string> available, ProviderSettings settings)
    {
        if (!settings.RequestsGpu) return null;
        if (!Complete && !settings.AllowCpuNodes)
            return $"model {model}: the model rejected its first run on zeros, so it cannot be verified that no node "
                + "runs on the CPU (SLUICE_ALLOW_CPU_NODES=0)";
        if (Placed.Count == 0 || !Complete && On("cpu") == Placed.Count) return null;
        if (!settings.AllowCpuNodes && On("cpu") is > 0 and var onCpu)
            return $"model {model}: {onCpu} of {Placed.Count} nodes run on the CPU ({CpuOperators}), which "
                + "SLUICE_ALLOW_CPU_NODES=0 forbids";
        if (settings.Policy == ProviderPolicy.Prefer || available.Count == 0) return null;
        if (available[0] == "cpu" || On(available[0]) > 0) return null;
        return $"model {model}: {available[0]} runs none of its {Placed.Count} nodes ({this}); put another provider "
            + "first in SLUICE_EXECUTION_PROVIDERS, or set SLUICE_PROVIDER_POLICY=prefer";
    }

    /// <summary><c>cuda 118/120 (98.3 %), cpu 2/120 (1.7 %)</c></summary>
    public override string ToString()
    {
        var shares = Placed.Count == 0 ? "no nodes" : string.Join(", ", Shares.Select(s => string.Create(
            CultureInfo.InvariantCulture,
            $"{s.Provider} {s.Nodes}/{Placed.Count} ({s.Share * 100:0.#} %)")));
        return Complete ? shares : shares + ", of the nodes that ran on zeros";
    }
}
