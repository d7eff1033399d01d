using Microsoft.ML.OnnxRuntime;

namespace Sluice.Worker.Providers;

/// <summary>Explains that no available provider has a kernel for an operator of a model. Pure.</summary>
internal static class MissingKernel
{
    private const string Operator = "PagedAttention";

    /// <summary>
    /// ONNX Runtime's texts: without a kernel, and if it converted the inputs of the operator to 32 bits before.
    /// </summary>
    private static readonly string[] Texts =
        [$"Could not find an implementation for {Operator}", $"of operator ({Operator})"];

    /// <summary>Returns the explanation; null: the error has another cause.</summary>
    /// <param name="error">ONNX Runtime's error when the model was opened.</param>
    /// <param name="available">The available providers.</param>
    /// <param name="skipped">The requested providers that are not available, with the reasons.</param>
    public static string? Explain(
        Exception error,
        IReadOnlyList<string> available,
        IReadOnlyDictionary<string, string> skipped)
    {
        if (error is not OnnxRuntimeException
            || !Texts.Any(t => error.Message.Contains(t, StringComparison.Ordinal))) return null;
        var lost = string.Concat(skipped.Select(s => $" {s.Key} was skipped: {s.Value}"));
        return $"its operator {Operator} has no kernel on {string.Join(", ", available)}; expected "
            + "SLUICE_EXECUTION_PROVIDERS=cuda (FP16 and BF16) or webgpu (FP16), or a model with GroupQueryAttention."
            + lost;
    }
}
