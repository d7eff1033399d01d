namespace Sluice.Worker.Models;

/// <summary>Location of a model on disk.</summary>
/// <param name="Path">Path of model.onnx in the repository.</param>
/// <param name="Load">The file to load: <paramref name="Path"/> or an optimized copy of it.</param>
/// <param name="Optimized">True if <paramref name="Load"/> is an optimized copy. Its graph is not optimized
/// again.</param>
/// <param name="Weights">Bytes of the tensors stored in the model.</param>
/// <param name="Threads">Number of threads of a run on the CPU, at least 1.</param>
public readonly record struct ModelFile(string Path, string Load, bool Optimized, long Weights = 0, int Threads = 1);
