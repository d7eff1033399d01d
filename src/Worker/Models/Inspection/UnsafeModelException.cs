namespace Sluice.Worker.Models.Inspection;

/// <summary>
/// A model that must not reach ONNX Runtime. The message names the file, what was found in it and what is allowed; text
/// out of the file is shortened and its control characters are replaced, so that a log line stays one line.
/// </summary>
public sealed class UnsafeModelException(string model, string found, string allowed)
    : InvalidOperationException($"{model} is refused: {found}; allowed: {allowed}")
{
    /// <summary>Path of the model file.</summary>
    public string Model { get; } = model;

    /// <summary>What was found, with the place.</summary>
    public string Found { get; } = found;

    /// <summary>What would have been right.</summary>
    public string Allowed { get; } = allowed;
}
