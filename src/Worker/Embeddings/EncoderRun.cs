using System.Runtime.InteropServices;
using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;
using Sluice.Worker.Models;

namespace Sluice.Worker.Embeddings;

/// <summary>Runs an encoder on token sequences, and pools its output to one vector for each sequence.</summary>
internal sealed class EncoderRun
{
    private static readonly string[] KnownInputs = ["input_ids", "attention_mask", "token_type_ids", "position_ids"];

    private readonly OnnxModel model;
    private readonly EmbeddingSettings settings;
    private readonly string output;

    /// <summary>True if the output has a vector for each text instead of one for each token.</summary>
    private readonly bool isPooled;

    /// <exception cref="NotSupportedException">The model is not a supported encoder.</exception>
    public EncoderRun(OnnxModel model, EmbeddingSettings settings)
    {
        this.model = model;
        this.settings = settings;
        foreach (var input in model.Inputs)
            if (!KnownInputs.Contains(input.Name))
                throw new NotSupportedException($"input '{input.Name}' is not known; "
                    + $"an encoder has {string.Join(", ", KnownInputs)}");
            else if (input.Type.Name != "INT64" || input.Shape.Length != 2)
                throw new NotSupportedException(
                    $"input '{input.Name}' is {input.Type.Name} {input.ShapeText}; expected INT64 [-1,-1]");
        if (model.Input("input_ids") is null) throw new NotSupportedException("the model has no input 'input_ids'");
        // Some models also return the result of their own pooling.
        var spec = model.Output("sentence_embedding") ?? model.Output("last_hidden_state")
            ?? model.Output("token_embeddings") ?? model.Outputs[0];
        if (spec.Type.Name is not ("FP32" or "FP16") || spec.Shape.Length is not (2 or 3) || spec.Shape[^1] <= 0)
            throw new NotSupportedException($"output '{spec.Name}' is {spec.Type.Name} {spec.ShapeText}; "
                + "expected FP32 or FP16 with the shape [texts,tokens,size] or [texts,size]");
        output = spec.Name;
        isPooled = spec.Shape.Length == 2;
        Dimensions = (int)spec.Shape[^1];
    }

    /// <summary>Number of values of a vector.</summary>
    public int Dimensions { get; }

    /// <summary>Returns whether a model has the inputs of an encoder of text.</summary>
    public static bool IsEncoder(OnnxModel model) =>
        model.InputNames.Contains("input_ids") && model.InputNames.All(KnownInputs.Contains);

    /// <summary>Returns the vectors of sequences. The run pads them to the longest one.</summary>
    public float[][] Run(RunOptions options, IReadOnlyList<int[]> sequences)
    {
        var longest = Math.Max(1, sequences.Max(s => s.Length));
        var shape = new long[] { sequences.Count, longest };
        var values = new List<OrtValue>();
        try
        {
            foreach (var name in model.InputNames)
            {
                var numbers = new long[sequences.Count * longest];
                for (var row = 0; row < sequences.Count; row++)
                    Fill(name, sequences[row], numbers.AsSpan(row * longest, longest));
                values.Add(OrtValue.CreateTensorValueFromMemory(numbers, shape));
            }

            using var outputs = model.Session.Run(options, model.InputNames, values, [output]);
            var data = Floats(outputs[0]);
            return [.. sequences.Select((sequence, row) => isPooled
                ? Finish(data.AsSpan(row * Dimensions, Dimensions).ToArray())
                : Pool(data.AsSpan(row * longest * Dimensions, longest * Dimensions), sequence.Length))];
        }
        finally
        {
            foreach (var value in values) value.Dispose();
        }
    }

    private void Fill(string input, int[] tokens, Span<long> row)
    {
        row.Fill(input == "input_ids" ? settings.PaddingToken : 0);
        if (input == "token_type_ids") return;
        for (var i = 0; i < tokens.Length; i++)
            row[i] = input switch { "input_ids" => tokens[i], "position_ids" => i, _ => 1 };
    }

    private float[] Pool(ReadOnlySpan<float> tokens, int length)
    {
        if (settings.Pooling == Pooling.Cls || length == 0) return Finish(tokens[..Dimensions].ToArray());
        if (settings.Pooling == Pooling.LastToken)
            return Finish(tokens.Slice((length - 1) * Dimensions, Dimensions).ToArray());
        var mean = new float[Dimensions];
        for (var token = 0; token < length; token++)
        {
            var vector = tokens.Slice(token * Dimensions, Dimensions);
            for (var i = 0; i < mean.Length; i++) mean[i] += vector[i];
        }

        for (var i = 0; i < mean.Length; i++) mean[i] /= length;
        return Finish(mean);
    }

    private float[] Finish(float[] vector)
    {
        if (!settings.Normalize) return vector;
        var sum = 0.0;
        foreach (var value in vector) sum += (double)value * value;
        // As in PyTorch's normalize: a vector of zeros stays one.
        var length = (float)Math.Max(Math.Sqrt(sum), 1e-12);
        for (var i = 0; i < vector.Length; i++) vector[i] /= length;
        return vector;
    }

    private static float[] Floats(OrtValue value)
    {
        if (value.GetTensorTypeAndShape().ElementDataType == TensorElementType.Float)
            return value.GetTensorDataAsSpan<float>().ToArray();
        var halves = MemoryMarshal.Cast<Float16, Half>(value.GetTensorDataAsSpan<Float16>());
        var floats = new float[halves.Length];
        for (var i = 0; i < floats.Length; i++) floats[i] = (float)halves[i];
        return floats;
    }
}
