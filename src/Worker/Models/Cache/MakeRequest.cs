using Sluice.Worker.Configuration;

namespace Sluice.Worker.Models.Cache;

/// <summary>Request to make an optimized copy, sent to the maker process.</summary>
/// <param name="Folder">The cache folder. See <see cref="CacheSettings"/>.</param>
/// <param name="MaxBytes">Largest size of all entries together, in bytes.</param>
/// <param name="Model">Path of model.onnx.</param>
/// <param name="External">Paths of the model's external files.</param>
/// <param name="Providers">Execution providers. They are part of the key; the copy itself is made for the CPU.</param>
internal sealed record MakeRequest(
    string Folder,
    long MaxBytes,
    string Model,
    IReadOnlyList<string> External,
    IReadOnlyList<string> Providers);
