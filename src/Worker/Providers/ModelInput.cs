namespace Sluice.Worker.Providers;

/// <summary>An input of a model as declared in its file.</summary>
/// <param name="Name">Name of the input.</param>
/// <param name="Dimensions">Dimensions. -1 can vary.</param>
public sealed record ModelInput(string Name, IReadOnlyList<long> Dimensions)
{
    public bool IsFree => Dimensions.Any(d => d < 0);

    /// <summary>True if a dimension after the first can vary. The first dimension counts as the batch.</summary>
    public bool IsFreeBeyondBatch => Dimensions.Skip(1).Any(d => d < 0);
}
