namespace Sluice.Worker.Generation;

/// <summary>
/// Upper bounds of the histograms of text generation. All bounds of vLLM are among them (vllm/v1/metrics/loggers.py),
/// so that its histograms can be written from the same counts. The others are for models that are faster than those of
/// vLLM.
/// </summary>
internal static class GenerationBounds
{
    /// <summary>vLLM's bounds of the time to the first token, in seconds.</summary>
    public static readonly double[] FirstToken =
    [
        0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80, 160, 640,
        2560,
    ];

    /// <summary>vLLM's bounds of the time between two tokens, in seconds.</summary>
    public static readonly double[] VllmInterToken =
        [0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80];

    /// <summary>vLLM's bounds of the stages of a request, in seconds.</summary>
    public static readonly double[] VllmRequest =
        [0.3, 0.5, 0.8, 1, 1.5, 2, 2.5, 5, 10, 15, 20, 30, 40, 50, 60, 120, 240, 480, 960, 1920, 7680];

    /// <summary>vLLM's bounds of the tokens of a step.</summary>
    public static readonly double[] StepTokens =
        [1, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384];

    /// <summary>Bounds of the time between two tokens, in seconds.</summary>
    public static readonly double[] InterToken = [0.00025, 0.0005, 0.001, 0.0025, 0.005, .. VllmInterToken];

    /// <summary>Bounds of the stages of a request, in seconds.</summary>
    public static readonly double[] Request = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, .. VllmRequest];

    /// <summary>Bounds of the texts that generate a token in one step.</summary>
    public static readonly double[] Batch = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024];

    /// <summary>Returns vLLM's bounds of numbers of tokens: 1, 2, 5, 10, ... up to the context of the model.</summary>
    public static double[] Tokens(int context)
    {
        var bounds = new List<double>();
        for (double power = 1; power <= context; power *= 10)
            foreach (var factor in (double[])[1, 2, 5])
                if (factor * power <= context) bounds.Add(factor * power);
        return [.. bounds];
    }
}
