using System.Diagnostics;
using Microsoft.ML.OnnxRuntime;
using Sluice.Worker.Generation;
using Sluice.Worker.Models;
using Sluice.Worker.Models.Cache;
using Sluice.Worker.Runtime;
using Sluice.Worker.Tensors;

namespace Sluice.Worker.Serving;

/// <summary>
/// Runs a model and its optimized copy on the same generated inputs and compares the outputs. The copy is loaded, run
/// and warmed up in the same way as in a worker. A copy can crash its process, see <see cref="TrialProcess"/>.
/// </summary>
internal static class CopyTrial
{
    /// <summary>
    /// Largest difference of an output, relative to the output's largest value. The original and the copy run the same
    /// kernels, so they differ only in the last bits.
    /// </summary>
    private const double Tolerance = 1e-3;

    /// <summary>The tolerance for 16-bit outputs, whose rounding error is already about 1e-3.</summary>
    private const double HalfTolerance = 1e-2;

    /// <summary>
    /// Largest size, in bytes, of all inputs or outputs of one run. Larger ones are not tried, because the trial must
    /// stay within the memory that <see cref="ModelOptimizer"/> reserves.
    /// </summary>
    private const long MaxBytes = 64L << 20;

    /// <summary>Time after which no further size is tried.</summary>
    private static readonly TimeSpan Enough = TimeSpan.FromSeconds(30);

    /// <summary>
    /// Sizes of free dimensions: rows (the first dimension) and all others. The small sizes are for tables, 8 and 32
    /// for sequences, and the others for images, whose layers reduce them by a factor of up to 32.
    /// </summary>
    private static readonly (int Rows, int Others)[] Sizes = [(1, 1), (2, 8), (1, 32), (1, 64), (2, 224), (1, 320)];

    /// <summary>
    /// Returns null if the copy returns the outputs of the original. Otherwise returns the difference.
    /// </summary>
    public static string? Run(string original, string copy)
    {
        var expected = new List<Sample>();
        using (var model = Load(original, original, optimized: false))
            if (model.Generator is { } generator)
                expected.Add(new Sample([], [Logits(generator)], Random: false));
            else expected.AddRange(RunSizes(model));
        if (expected.Count == 0)
            return "the original does not run on generated inputs, so its copy cannot be compared with it";
        using var copied = Load(original, copy, optimized: true);
        copied.WarmUp();
        if (copied.Generator is { } made)
            return Difference(expected[0].Outputs[0], Logits(made), Tolerance) is { } apart
                ? $"logits: {apart}"
                : null;
        foreach (var sample in expected)
            if (Compare(copied, sample) is { } wrong) return wrong;
        return null;
    }

    private static double[] Logits(TextGenerator generator) =>
        [.. generator.LogitsAfter([1, 2, 3, 4]).Select(l => (double)l)];

    private static LoadedModel Load(string path, string file, bool optimized) => new(
        "trial",
        "1",
        new ModelFile(path, file, optimized, 0),
        new ExecutionProviders(["cpu"]),
        new ExecutionSlots(1),
        new BatchLimits());

    private static IEnumerable<Sample> RunSizes(LoadedModel model)
    {
        var started = Stopwatch.GetTimestamp();
        var shapes = new HashSet<string>();
        foreach (var (rows, others) in Sizes)
        {
            long[][] sizes = [.. model.Inputs.Select(i => Shape(i, rows, others))];
            var key = string.Join(';', sizes.Select(s => string.Join(',', s)));
            if (!shapes.Add(key) || Bytes(model, sizes) > MaxBytes) continue;
            if (Outputs(model, sizes) is not { } outputs) continue;
            if (outputs.Sum(o => (long)o.Length * sizeof(double)) > MaxBytes) continue;
            // A model that contains random numbers returns other values in each run.
            var again = Outputs(model, sizes)!;
            var random = !outputs.Zip(again).All(p => p.First.AsSpan().SequenceEqual(p.Second));
            yield return new Sample(sizes, outputs, random);
            if (Stopwatch.GetElapsedTime(started) > Enough) yield break;
        }
    }

    private static string? Compare(LoadedModel copy, Sample sample)
    {
        var shown = string.Join(", ", sample.Sizes.Select(s => $"[{string.Join(',', s)}]"));
        if (Outputs(copy, sample.Sizes) is not { } outputs)
            return $"it rejects inputs of the shape {shown}, which the original accepts";
        for (var i = 0; i < outputs.Length; i++)
        {
            if (outputs[i].Length != sample.Outputs[i].Length)
                return $"output '{copy.OutputNames[i]}' has {outputs[i].Length} values for inputs of the shape "
                    + $"{shown}; the original has {sample.Outputs[i].Length}";
            var tolerance = copy.Outputs[i].Type.Size == 2 ? HalfTolerance : Tolerance;
            if (!sample.Random && Difference(sample.Outputs[i], outputs[i], tolerance) is { } apart)
                return $"output '{copy.OutputNames[i]}' differs for inputs of the shape {shown}: {apart}";
        }

        return null;
    }

    private static string? Difference(double[] expected, double[] given, double tolerance)
    {
        var largest = expected.Where(double.IsFinite).Select(Math.Abs).DefaultIfEmpty().Max();
        for (var i = 0; i < expected.Length; i++)
            if (!expected[i].Equals(given[i]) && !(Math.Abs(expected[i] - given[i]) <= tolerance * largest))
                return string.Create(
                    System.Globalization.CultureInfo.InvariantCulture,
                    $"value {i} is {given[i]:g6}; the original returns {expected[i]:g6}");
        return null;
    }

    /// <summary>
    /// Returns all outputs as numbers, and texts as their hashes. Null if the model rejects inputs of these shapes.
    /// </summary>
    private static double[][]? Outputs(LoadedModel model, long[][] sizes)
    {
        var inputs = new List<OrtValue>();
        try
        {
            foreach (var (spec, size) in model.Inputs.Zip(sizes)) inputs.Add(MadeUp(spec, size));
            using var results = model.RunOnce(inputs);
            return [.. results.Zip(model.Outputs, (value, spec) => spec.Type.IsBytes
                ? [.. value.GetStringTensorAsArray().Select(t => (double)HashOf(t))]
                : SyntheticInputs.Numbers(value.GetTensorMutableRawData(), spec.Type))];
        }
        catch (OnnxRuntimeException)
        {
            return null;
        }
        finally
        {
            foreach (var input in inputs) input.Dispose();
        }
    }

    private static int HashOf(string text) => string.GetHashCode(text, StringComparison.Ordinal);

    private static OrtValue MadeUp(TensorSpec spec, long[] size) => spec.Type.IsBytes
        ? TensorValues.Allocate(spec.Type, size, zero: true)
        : SyntheticInputs.Create(spec with { Shape = size }, 0, 1, stacked: false);

    private static long[] Shape(TensorSpec spec, int rows, int others) =>
        [.. spec.Shape.Select((d, i) => d >= 0 ? d : i == 0 && spec.Shape.Length > 1 ? rows : others)];

    private static long Bytes(LoadedModel model, long[][] sizes) =>
        model.Inputs.Zip(sizes)
            .Sum(i => i.Second.Aggregate((long)Math.Max(1, i.First.Type.Size), (a, d) => checked(a * d)));

    /// <param name="Sizes">Shapes of the inputs.</param>
    /// <param name="Outputs">Outputs of the original.</param>
    /// <param name="Random">True if the original returns other values in each run.</param>
    private sealed record Sample(long[][] Sizes, double[][] Outputs, bool Random);
}
