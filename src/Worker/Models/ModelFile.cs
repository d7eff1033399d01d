namespace Sluice.Worker.Models;

/// <summary>Where a model stands.</summary>
/// <param name="Path">Its model.onnx in the repository.</param>
/// <param name="Load">The file to load: that, or an optimised copy of it.</param>
/// <param name="Optimised">It is the copy: its graph is taken as it is.</param>
/// <param name="Weights">Bytes of the tensors stored in it.</param>
public readonly record struct ModelFile(string Path, string Load, bool Optimised, long Weights = 0);
