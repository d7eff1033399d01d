namespace Sluice.Worker.Models.Cache;

/// <summary>Request to compare a model with its copy, sent to the trial process.</summary>
/// <param name="Original">Path of model.onnx.</param>
/// <param name="Copy">Path of the copy's model.onnx.</param>
internal sealed record TrialRequest(string Original, string Copy);
