namespace Sluice.Worker.Providers;

/// <summary>
/// Determines the shapes for which TensorRT builds its engines. Without a declared range, TensorRT extends its own
/// range with each new shape and rebuilds the engine inside the request (onnxruntime issue 12120: 36 to 100 s). A
/// range is therefore required and never guessed.
/// </summary>
public static class ShapeProfiles
{
    private const string Min = "trt_profile_min_shapes", Opt = "trt_profile_opt_shapes", Max = "trt_profile_max_shapes";

    /// <summary>
    /// Returns the provider's options with profiles. If one is missing, it throws with the option to set.
    /// </summary>
    /// <param name="model">Name of the model, for the message.</param>
    /// <param name="inputs">Inputs of the model.</param>
    /// <param name="options">Options from SLUICE_TENSORRT_OPTIONS.</param>
    /// <param name="maxBatch">Largest batch that the worker runs. Null if it is not set.</param>
    public static IReadOnlyDictionary<string, string> Complete(string model, IReadOnlyList<ModelInput> inputs,
        IReadOnlyDictionary<string, string> options, int? maxBatch)
    {
        var free = inputs.Where(i => i.IsFree).ToList();
        if (free.Count == 0) return options;
        if (new[] { Min, Opt, Max }.Any(options.ContainsKey)) return Declared(model, free, options);
        if (free.Find(i => i.IsFreeBeyondBatch) is { } varying)
            throw new InvalidOperationException(
                $"model {model}: input '{varying.Name}' has free dimensions {Shape(varying)} beyond the batch, and "
                + $"TensorRT must know their range: set SLUICE_TENSORRT_OPTIONS={Example(free)}");
        if (maxBatch is not { } most)
            throw new InvalidOperationException(
                $"model {model}: the batch of input '{free[0].Name}' {Shape(free[0])} is free, and TensorRT must know "
                + $"the largest: set SLUICE_TENSORRT_MAX_BATCH, or SLUICE_TENSORRT_OPTIONS={Example(free)}");
        return new Dictionary<string, string>(options)
        {
            [Min] = Format(free, 1),
            // The engine is tuned for the largest batch, because a worker under load runs it.
            [Opt] = Format(free, most),
            [Max] = Format(free, most),
        };
    }

    /// <summary>
    /// Returns why no CUDA graph can be captured of this model, or null. A graph replays fixed shapes. For a free batch
    /// dimension, one graph is captured for each of a few sizes; see <c>BindingPlan</c>.
    /// </summary>
    /// <param name="model">Name of the model, for the message.</param>
    /// <param name="option">Option that requests CUDA graphs.</param>
    /// <param name="inputs">Inputs of the model.</param>
    public static string? NoCudaGraph(string model, string option, IReadOnlyList<ModelInput> inputs) =>
        inputs.FirstOrDefault(i => i.IsFreeBeyondBatch) is { } free
            ? $"model {model}: {option}=1 needs fixed shapes except for the batch, and input '{free.Name}' is "
                + $"{Shape(free)}; fix its dimensions in the model, or remove {option}"
            : null;

    private static IReadOnlyDictionary<string, string> Declared(
        string model,
        List<ModelInput> free,
        IReadOnlyDictionary<string, string> options)
    {
        foreach (var option in new[] { Min, Opt, Max })
        {
            var named = Names(options.GetValueOrDefault(option));
            if (free.Find(i => !named.ContainsKey(i.Name)) is { } missing)
                throw new InvalidOperationException(
                    $"model {model}: {option} does not name input '{missing.Name}' {Shape(missing)}; "
                    + $"all three profiles must name every input with free dimensions, for example {Example(free)}");
            if (free.Find(i => !Fits(named[i.Name], i.Dimensions)) is { } wrong)
                throw new InvalidOperationException($"model {model}: {option} has '{wrong.Name}:{named[wrong.Name]}', "
                    + $"which does not match its shape {Shape(wrong)}");
        }

        return options;
    }

    private static Dictionary<string, string> Names(string? profile) => (profile ?? "")
        .Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries)
        .Select(p => p.Split(':', 2)).GroupBy(p => p[0])
        .ToDictionary(g => g.Key, g => g.Last().ElementAtOrDefault(1) ?? "");

    private static bool Fits(string shape, IReadOnlyList<long> dimensions)
    {
        var parts = shape.Split('x');
        return parts.Length == dimensions.Count && parts.Zip(dimensions).All(p =>
            long.TryParse(p.First, out var n) && n > 0 && (p.Second < 0 || p.Second == n));
    }

    private static string Shape(ModelInput input) => $"[{string.Join(',', input.Dimensions)}]";

    private static string Format(IEnumerable<ModelInput> inputs, long batch, long other = 1) =>
        string.Join(',', inputs.Select(i => $"{i.Name}:{string.Join('x', Sizes(i, batch, other))}"));

    private static IEnumerable<long> Sizes(ModelInput input, long batch, long other) =>
        input.Dimensions.Select((d, at) => d >= 0 ? d : at == 0 ? batch : other);

    private static string Example(List<ModelInput> free) =>
        $"\"{Min}={Format(free, 1)};{Opt}={Format(free, 8, 128)};{Max}={Format(free, 8, 512)}\" (with your own ranges)";
}
