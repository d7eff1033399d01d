namespace Sluice.Worker.Models;

/// <summary>Location of a model on disk.</summary>
/// <param name="Path">Path of model.onnx in the repository.</param>
/// <param name="Load">The file to load: <paramref name="Path"/> or an optimised copy of it.</param>
/// <param name="Optimised">True if <paramref name="Load"/> is an optimised copy. Its graph is not optimised
/// again.</param>
/// <param name="Weights">Bytes of the tensors stored in the model.</param>
public readonly record struct ModelFile(string Path, string Load, bool Optimised, long Weights = 0);
