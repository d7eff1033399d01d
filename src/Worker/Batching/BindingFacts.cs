namespace Sluice.Worker.Batching;

/// <summary>Properties of a model that determine its binding.</summary>
public sealed record BindingFacts
{
    /// <summary>The execution provider of the model: the first available one.</summary>
    public required string Provider { get; init; }

    /// <summary>Number of nodes on the CPU.</summary>
    public int CpuNodes { get; init; }

    /// <summary>
    /// Why the shapes of the inputs are unknown before a request; null: they are known, except for the rows of a batch.
    /// </summary>
    public string? InputsVary { get; init; }

    /// <summary>Why the shapes of the outputs are unknown before a request; null: they are known.</summary>
    public string? OutputsVary { get; init; }

    /// <summary>The enabled option that requires CUDA graphs; null: none.</summary>
    public string? GraphOption { get; init; }
}
