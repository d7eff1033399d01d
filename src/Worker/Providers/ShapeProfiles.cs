namespace Sluice.Worker.Providers;

/// <summary>
/// The shapes that TensorRT builds its engines for. Without a declared range it widens its own as shapes come and
/// rebuilds the engine inside the request (onnxruntime issue 12120: 36 to 100 s), so a range is demanded, never guessed.
/// </summary>
public static class ShapeProfiles
{
    private const string Min = "trt_profile_min_shapes", Opt = "trt_profile_opt_shapes", Max = "trt_profile_max_shapes";

    /// <summary>The provider's options with profiles; throws with the option to set when one is missing.</summary>
    /// <param name="model">The model's name, for the sentence.</param>
    /// <param name="inputs">What the model takes.</param>
    /// <param name="options">What was declared in SLUICE_TENSORRT_OPTIONS.</param>
    /// <param name="maxBatch">Largest batch that will come; null when nobody said so.</param>
    public static IReadOnlyDictionary<string, string> Complete(string model, IReadOnlyList<ModelInput> inputs,
        IReadOnlyDictionary<string, string> options, int? maxBatch)
    {
        var free = inputs.Where(i => i.IsFree).ToList();
        if (free.Count == 0) return options;
        if (new[] { Min, Opt, Max }.Any(options.ContainsKey)) return Declared(model, free, options);
        if (free.Find(i => i.IsFreeBeyondBatch) is { } varying)
            throw new InvalidOperationException($"model {model}: input '{varying.Name}' has free dimensions {Shape(varying)} beyond the batch, and "
                + $"TensorRT must know their range: set SLUICE_TENSORRT_OPTIONS={Example(free)}");
        if (maxBatch is not { } most)
            throw new InvalidOperationException($"model {model}: the batch of input '{free[0].Name}' {Shape(free[0])} is free, and TensorRT must "
                + $"know the largest: set SLUICE_TENSORRT_MAX_BATCH, or SLUICE_TENSORRT_OPTIONS={Example(free)}");
        return new Dictionary<string, string>(options)
        {
            [Min] = Of(free, 1),
            // The largest batch is what a loaded worker runs, so the engine is tuned for it.
            [Opt] = Of(free, most),
            [Max] = Of(free, most),
        };
    }

    /// <summary>Why a CUDA graph cannot be captured of this model, or null: a graph replays fixed shapes. Of a free batch one is captured for each of a few
    /// sizes; see <c>BindingPlan</c>.</summary>
    /// <param name="model">The model's name, for the sentence.</param>
    /// <param name="option">The option that wants it.</param>
    /// <param name="inputs">What the model takes.</param>
    public static string? NoCudaGraph(string model, string option, IReadOnlyList<ModelInput> inputs) =>
        inputs.FirstOrDefault(i => i.IsFreeBeyondBatch) is { } free
            ? $"model {model}: {option}=1 needs fixed shapes but for the batch, and input '{free.Name}' is {Shape(free)}; fix its dimensions in the "
                + $"model, or leave {option} out"
            : null;

    private static IReadOnlyDictionary<string, string> Declared(string model, List<ModelInput> free, IReadOnlyDictionary<string, string> options)
    {
        foreach (var option in new[] { Min, Opt, Max })
        {
            var named = Names(options.GetValueOrDefault(option));
            if (free.Find(i => !named.ContainsKey(i.Name)) is { } missing)
                throw new InvalidOperationException($"model {model}: {option} does not name input '{missing.Name}' {Shape(missing)}; "
                    + $"all three profiles name every input with free dimensions, as in {Example(free)}");
            if (free.Find(i => !Fits(named[i.Name], i.Dimensions)) is { } wrong)
                throw new InvalidOperationException($"model {model}: {option} has '{wrong.Name}:{named[wrong.Name]}', "
                    + $"which does not fit its shape {Shape(wrong)}");
        }

        return options;
    }

    private static Dictionary<string, string> Names(string? profile) => (profile ?? "")
        .Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries)
        .Select(p => p.Split(':', 2)).GroupBy(p => p[0]).ToDictionary(g => g.Key, g => g.Last().ElementAtOrDefault(1) ?? "");

    private static bool Fits(string shape, IReadOnlyList<long> dimensions)
    {
        var parts = shape.Split('x');
        return parts.Length == dimensions.Count && parts.Zip(dimensions).All(p =>
            long.TryParse(p.First, out var n) && n > 0 && (p.Second < 0 || p.Second == n));
    }

    private static string Shape(ModelInput input) => $"[{string.Join(',', input.Dimensions)}]";

    private static string Of(IEnumerable<ModelInput> inputs, long batch, long other = 1) => string.Join(',', inputs.Select(i =>
        $"{i.Name}:{string.Join('x', i.Dimensions.Select((d, at) => d >= 0 ? d : at == 0 ? batch : other))}"));

    private static string Example(List<ModelInput> free) => $"\"{Min}={Of(free, 1)};{Opt}={Of(free, 8, 128)};{Max}={Of(free, 8, 512)}\" (with your own ranges)";
}
