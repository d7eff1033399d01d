using Sluice.Worker.Batching;
using Sluice.Worker.Serving;

namespace Sluice.Worker.Api;

/// <summary>A model and its statistics at one time.</summary>
/// <param name="Model">The model.</param>
/// <param name="View">Statistics of its requests and runs.</param>
/// <param name="Generation">Statistics of its texts; null: it does not generate text.</param>
internal sealed record ModelSnapshot(LoadedModel Model, StatisticsView View, GenerationSnapshot? Generation)
{
    /// <summary>Reads the statistics of a model.</summary>
    public static ModelSnapshot Read(LoadedModel model) => new(
        model,
        model.Statistics.View,
        model.Generator is { } generator ? GenerationSnapshot.Read(generator) : null);

    /// <summary>The labels of a sample: the model, its version, and others.</summary>
    public (string Name, string Value)[] Labels(params ReadOnlySpan<(string Name, string Value)> others) =>
        [("model", Model.Name), ("version", $"{Model.Version}"), .. others];
}
