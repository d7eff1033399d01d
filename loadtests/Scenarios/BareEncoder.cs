using System.Diagnostics;
using Microsoft.ML.OnnxRuntime;

namespace Sluice.Scenarios;

/// <summary>The limit of embeddings: an encoder in this process, without a tokenizer and pooling.</summary>
internal static class BareEncoder
{
    /// <summary>Returns the tokens that the encoder reads in a second, in one run after a first one.</summary>
    public static double TokensPerSecond(string path, string provider, int rows, int tokens)
    {
        using var options = new SessionOptions
        {
            IntraOpNumThreads = 1, LogSeverityLevel = OrtLoggingLevel.ORT_LOGGING_LEVEL_ERROR,
        };
        InProcessLimit.Append(options, provider);
        using var session = new InferenceSession(path, options);
        Run(session, rows, tokens);
        var began = Stopwatch.GetTimestamp();
        Run(session, rows, tokens);
        return rows * tokens / Stopwatch.GetElapsedTime(began).TotalSeconds;
    }

    private static void Run(InferenceSession session, int rows, int tokens)
    {
        // Ids and masks are ones, and kinds of tokens are zeros.
        var inputs = session.InputNames.ToDictionary(n => n, n => OrtValue.CreateTensorValueFromMemory(
            Enumerable.Repeat(n.Contains("type", StringComparison.Ordinal) ? 0L : 1L, rows * tokens).ToArray(),
            [rows, tokens]));
        using var run = new RunOptions();
        session.Run(run, inputs, session.OutputNames).Dispose();
        foreach (var value in inputs.Values) value.Dispose();
    }
}
