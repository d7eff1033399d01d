namespace Sluice.Worker.Doctor;

/// <summary>Result of a tiny model on a provider.</summary>
/// <param name="Provider"><c>tensorrt</c>, <c>cuda</c>, <c>webgpu</c> or <c>cpu</c>.</param>
/// <param name="Error">ONNX Runtime's error. Null if the model ran on the provider with the right result.</param>
/// <param name="Milliseconds">Duration of session creation, first run and check.</param>
public sealed record ProviderRun(string Provider, string? Error, double Milliseconds);
