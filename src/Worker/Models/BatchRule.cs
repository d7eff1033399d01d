using Microsoft.ML.OnnxRuntime;
using Sluice.Worker.Tensors;

namespace Sluice.Worker.Models;

/// <summary>States whether the requests of a model can be stacked into one batch, and the reason.</summary>
/// <param name="Max">Largest number of rows in one run. 0 if the model runs one request at a time.</param>
/// <param name="Why">The reason as text, for operators.</param>
public sealed record BatchRule(int Max, string Why)
{
    /// <summary>
    /// Checks the model's declared shapes, and then runs the model. Requests can be stacked only if the output of a row
    /// does not depend on the other rows.
    /// </summary>
    /// <param name="inputs">The model's inputs.</param>
    /// <param name="outputs">The model's outputs.</param>
    /// <param name="symbols">Symbolic names of the inputs' first dimensions. An empty name means that there is
    /// none.</param>
    /// <param name="maxRows">Largest number of rows in one run. 0 or 1 switches batching off.</param>
    /// <param name="run">Runs the model.</param>
    public static BatchRule Find(
        IReadOnlyList<TensorSpec> inputs,
        IReadOnlyList<TensorSpec> outputs,
        IReadOnlyList<string> symbols,
        int maxRows,
        Func<IReadOnlyList<OrtValue>, IDisposableReadOnlyCollection<OrtValue>> run)
    {
        if (maxRows < 2) return new BatchRule(0, "batching is switched off");
        if (inputs.Count == 0) return new BatchRule(0, "the model has no input");
        foreach (var spec in inputs.Concat(outputs))
        {
            if (spec.Type.IsBytes) return new BatchRule(0, $"'{spec.Name}' is BYTES");
            if (spec.Shape.Length == 0) return new BatchRule(0, $"'{spec.Name}' is a scalar");
            if (spec.Shape[0] >= 0)
                return new BatchRule(0, $"the first dimension of '{spec.Name}' is fixed at {spec.Shape[0]}");
        }

        string[] names = [.. symbols.Where(s => s.Length > 0).Distinct()];
        if (names.Length > 1)
            return new BatchRule(0, $"the first dimensions have different names: {string.Join(", ", names)}");
        return Prove(inputs, outputs, maxRows, run);
    }

    private static BatchRule Prove(
        IReadOnlyList<TensorSpec> inputs,
        IReadOnlyList<TensorSpec> outputs,
        int maxRows,
        Func<IReadOnlyList<OrtValue>, IDisposableReadOnlyCollection<OrtValue>> run)
    {
        try
        {
            double[][] first = Rows(0, 1), second = Rows(1, 1), both = Rows(0, 2);
            for (var o = 0; o < outputs.Count; o++)
            {
                double[] apart = [.. first[o], .. second[o]];
                if (apart.Length != both[o].Length)
                    return new BatchRule(0, $"'{outputs[o].Name}' does not have one row for each input row");
                if (!SyntheticInputs.Alike(apart, both[o]))
                {
                    var reason = $"'{outputs[o].Name}' of a row depends on the rows beside it (checked at load)";
                    return new BatchRule(0, reason);
                }
            }

            return new BatchRule(maxRows, "rows do not depend on each other (checked at load)");
        }
        catch (OnnxRuntimeException e)
        {
            return new BatchRule(0, "the model failed on generated rows at load, so it is not proven that its requests "
                + $"can be stacked: {e.Message}");
        }

        double[][] Rows(int row, int count)
        {
            var values = new List<OrtValue>();
            try
            {
                foreach (var input in inputs) values.Add(SyntheticInputs.Create(input, row, count));
                using var results = run(values);
                return [.. results.Select((r, o) => 
                    SyntheticInputs.Numbers(r.GetTensorMutableRawData(), outputs[o].Type))];
            }
            finally
            {
                foreach (var value in values) value.Dispose();
            }
        }
    }
}
