using Microsoft.ML.OnnxRuntime;

namespace Sluice.Worker.Models;

/// <summary>Whether a model's requests may be stacked, and why not.</summary>
/// <param name="Max">Rows of one run; 0: it takes one request at a time.</param>
/// <param name="Why">In words, for operators.</param>
public sealed record BatchRule(int Max, string Why)
{
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
                if (!MadeUpRows.Alike(apart, both[o])) return new BatchRule(0, $"'{outputs[o].Name}' of a row depends on the rows beside it (seen at load)");
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
                foreach (var input in inputs) values.Add(MadeUpRows.Of(input, row, count));
                using var results = run(values);
                return [.. results.Select((r, o) => MadeUpRows.Numbers(r.GetTensorMutableRawData(), outputs[o].Type))];
            }
            finally
            {
                foreach (var value in values) value.Dispose();
            }
        }
    }
}
