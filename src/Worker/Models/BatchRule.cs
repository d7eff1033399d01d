using Microsoft.ML.OnnxRuntime;
using Sluice.Worker.Runtime;

namespace Sluice.Worker.Models;

/// <summary>Whether a model's requests may be stacked, and why not.</summary>
/// <param name="Max">Rows of one run; 0: it takes one request at a time.</param>
/// <param name="Why">In words, for operators.</param>
public sealed record BatchRule(int Max, string Why)
{
    /// <summary>How far two results of the same row may be apart, relative to the larger of 1 and the value: kernels of different batch sizes
    /// add in different orders.</summary>
    private const double Tolerance = 1e-3;

    /// <summary>Finds out, by the model's declared shapes and then by running it: what a row gives must not depend on the rows beside it.</summary>
    /// <param name="inputs">The model's inputs.</param>
    /// <param name="outputs">The model's outputs.</param>
    /// <param name="symbols">Names of the inputs' first dimensions; empty for one that has none.</param>
    /// <param name="wished">Rows that a run may have at most; 0 or 1: do not stack.</param>
    /// <param name="run">Runs the model.</param>
    public static BatchRule Find(IReadOnlyList<TensorSpec> inputs, IReadOnlyList<TensorSpec> outputs, IReadOnlyList<string> symbols, int wished,
        Func<IReadOnlyList<OrtValue>, IDisposableReadOnlyCollection<OrtValue>> run)
    {
        if (wished < 2) return new BatchRule(0, "batching is switched off");
        if (inputs.Count == 0) return new BatchRule(0, "it has no input");
        foreach (var spec in inputs.Concat(outputs))
        {
            if (spec.Type.IsBytes) return new BatchRule(0, $"'{spec.Name}' is BYTES");
            if (spec.Shape.Length == 0) return new BatchRule(0, $"'{spec.Name}' is a scalar");
            if (spec.Shape[0] >= 0) return new BatchRule(0, $"the first dimension of '{spec.Name}' is fixed at {spec.Shape[0]}");
        }

        if (symbols.Where(s => s.Length > 0).Distinct().Skip(1).Any())
            return new BatchRule(0, $"the first dimensions have different names: {string.Join(", ", symbols.Where(s => s.Length > 0).Distinct())}");
        return Prove(inputs, outputs, wished, run);
    }

    private static BatchRule Prove(IReadOnlyList<TensorSpec> inputs, IReadOnlyList<TensorSpec> outputs, int wished,
        Func<IReadOnlyList<OrtValue>, IDisposableReadOnlyCollection<OrtValue>> run)
    {
        try
        {
            double[][] first = Rows(0, 1), second = Rows(1, 1), both = Rows(0, 2);
            for (var o = 0; o < outputs.Count; o++)
            {
                double[] apart = [.. first[o], .. second[o]];
                if (apart.Length != both[o].Length) return new BatchRule(0, $"'{outputs[o].Name}' has not one row for each row of input");
                for (var i = 0; i < apart.Length; i++)
                    if (!Near(apart[i], both[o][i]))
                        return new BatchRule(0, $"'{outputs[o].Name}' of a row depends on the rows beside it (seen at load)");
            }

            return new BatchRule(wished, "rows do not depend on each other (seen at load)");
        }
        catch (OnnxRuntimeException e)
        {
            return new BatchRule(0, $"it could not be run on made-up rows at load, so that they can be stacked is not proven: {e.Message}");
        }

        double[][] Rows(int row, int count)
        {
            var values = new List<OrtValue>();
            try
            {
                foreach (var input in inputs) values.Add(MadeUp(input, row, count));
                using var results = run(values);
                return [.. results.Select((r, o) => Numbers(r, outputs[o].Type))];
            }
            finally
            {
                foreach (var value in values) value.Dispose();
            }
        }
    }

    /// <summary>Rows of small numbers, the same for the same row: indexes, masks and pixels at once.</summary>
    private static OrtValue MadeUp(TensorSpec spec, int row, int count)
    {
        long[] shape = [count, .. spec.Shape.Skip(1).Select(d => d < 0 ? 1 : d)];
        var value = TensorValues.Allocate(spec.Type, shape, zero: true);
        var elements = (int)shape.Skip(1).Aggregate(1L, (a, d) => a * d);
        for (var r = 0; r < count; r++)
            for (var i = 0; i < elements; i++)
                Put(value, spec.Type.Name, (r * elements) + i, new Random(((row + r) * 7919) + i).Next(2));
        return value;
    }

    private static void Put(OrtValue value, string type, int at, int bit)
    {
        switch (type)
        {
            case "FP32": value.GetTensorMutableDataAsSpan<float>()[at] = bit == 0 ? 0.25f : 0.75f; break;
            case "FP64": value.GetTensorMutableDataAsSpan<double>()[at] = bit == 0 ? 0.25 : 0.75; break;
            case "FP16": value.GetTensorMutableRawData()[(2 * at) + 1] = bit == 0 ? (byte)0x34 : (byte)0x3c; break;
            case "BF16": value.GetTensorMutableRawData()[(2 * at) + 1] = bit == 0 ? (byte)0x3e : (byte)0x3f; break;
            default: value.GetTensorMutableRawData()[at * DataType.Named(type)!.Size] = (byte)bit; break;
        }
    }

    private static double[] Numbers(OrtValue value, DataType type)
    {
        var raw = value.GetTensorMutableRawData();
        var numbers = new double[raw.Length / type.Size];
        for (var i = 0; i < numbers.Length; i++)
        {
            var one = raw.Slice(i * type.Size, type.Size);
            numbers[i] = type.Name switch
            {
                "FP32" => BitConverter.ToSingle(one),
                "FP64" => BitConverter.ToDouble(one),
                "FP16" => (double)BitConverter.ToHalf(one),
                "BF16" => BitConverter.UInt32BitsToSingle((uint)BitConverter.ToUInt16(one) << 16),
                _ => type.Size switch { 1 => one[0], 2 => BitConverter.ToInt16(one), 4 => BitConverter.ToInt32(one), _ => BitConverter.ToInt64(one) },
            };
        }

        return numbers;
    }

    private static bool Near(double a, double b) =>
        a.Equals(b) || Math.Abs(a - b) <= Tolerance * Math.Max(1, Math.Max(Math.Abs(a), Math.Abs(b)));
}
