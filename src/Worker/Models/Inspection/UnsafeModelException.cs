namespace Sluice.Worker.Models.Inspection;

/// <summary>
/// Thrown for a model that must not reach ONNX Runtime. The message contains the file, the problem and the rule. Text
/// from the file is shortened, and its control characters are replaced, so that a log line stays one line.
/// </summary>
public sealed class UnsafeModelException(string model, string found, string allowed)
    : InvalidOperationException($"{model} is refused: {found}; allowed: {allowed}")
{
    /// <summary>Path of the model file.</summary>
    public string Model { get; } = model;

    /// <summary>The problem, with its position.</summary>
    public string Found { get; } = found;

    /// <summary>The rule that the file violates.</summary>
    public string Allowed { get; } = allowed;
}
