using Microsoft.ML.OnnxRuntime;
using Sluice.Worker.Runtime;

namespace Sluice.Worker.Generation.Decoding;

/// <summary>
/// Runs a decoder with PagedAttention. One run reads any number of tokens of each of several rows: parts of prompts and
/// the last tokens of sequences that decode.
/// </summary>
/// <param name="session">The session of the model.</param>
/// <param name="layout">The inputs and outputs.</param>
/// <param name="cache">The cache, with the blocks of each row.</param>
internal sealed class PagedDecoder(ModelSession session, PagedLayout layout, PagedKvCache cache) : IDecoder
{
    private readonly RunLogits logits = new(layout.Logits, layout.Vocabulary);

    /// <summary>Outputs of the last run; the logits are the first one.</summary>
    private IDisposableReadOnlyCollection<OrtValue>? outputs;

    /// <summary>The row of the logits after the last token of each sequence of the last run.</summary>
    private int[] ends = [];

    public int MaxTokens => RunLogits.MaxTokensOf(layout.Vocabulary);

    public bool ReadsSeveralRows => true;

    public bool ReadsMixedRows => true;

    public void Read(RunOptions options, int row, int past, ReadOnlySpan<int> tokens) =>
        ReadMixedRows(options, [row], [past], [tokens.Length], tokens);

    public void ReadRows(RunOptions options, ReadOnlySpan<int> past, ReadOnlySpan<int> tokens)
    {
        var rows = Enumerable.Range(0, tokens.Length).ToArray();
        ReadMixedRows(options, rows, past, [.. rows.Select(_ => 1)], tokens);
    }

    public void ReadMixedRows(
        RunOptions options,
        ReadOnlySpan<int> rows,
        ReadOnlySpan<int> past,
        ReadOnlySpan<int> counts,
        ReadOnlySpan<int> tokens)
    {
        var values = Values(rows, past, counts, tokens);
        try
        {
            using var binding = session.NewBinding();
            foreach (var (name, value) in values) binding.BindInput(name, value);
            for (var i = 0; i < layout.Cache.Count; i++)
                binding.BindInput(layout.Cache[i].Past, cache.Buffers[i]);
            // ONNX Runtime allocates the logits: some models return those of the last tokens only.
            binding.BindOutputToDevice(layout.Names.Logits, OrtMemoryInfo.DefaultInstance);
            for (var i = 0; i < layout.Cache.Count; i++)
                binding.BindOutput(layout.Cache[i].Present, cache.Buffers[i]);
            session.Run(options, binding);
            Dispose();
            outputs = binding.GetOutputValues();
        }
        finally
        {
            foreach (var (_, value) in values) value.Dispose();
        }

        var returned = outputs[0].GetTensorTypeAndShape().Shape[0];
        ends = new int[counts.Length];
        for (var (i, end) = (0, 0); i < counts.Length; i++)
        {
            end += counts[i];
            ends[i] = returned == tokens.Length ? end - 1 : i;
        }
    }

    public ReadOnlySpan<float> LogitsOf(int index) => logits.Row(outputs![0], ends[index]);

    public void Dispose()
    {
        outputs?.Dispose();
        outputs = null;
    }

    private List<(string Name, OrtValue Value)> Values(
        ReadOnlySpan<int> rows,
        ReadOnlySpan<int> past,
        ReadOnlySpan<int> counts,
        ReadOnlySpan<int> tokens)
    {
        var count = rows.Length;
        var lengths = new int[count + 1];
        var (longestRead, longest) = (0, 0);
        for (var i = 0; i < count; i++)
        {
            lengths[i + 1] = lengths[i] + counts[i];
            (longestRead, longest) = (Math.Max(longestRead, counts[i]), Math.Max(longest, past[i] + counts[i]));
        }

        var columns = (longest + cache.BlockSize - 1) / cache.BlockSize;
        var table = new int[count * columns];
        for (var i = 0; i < count; i++)
        {
            var blocks = cache.Tables[rows[i]];
            for (var column = 0; column < Math.Min(columns, blocks.Count); column++)
                table[(i * columns) + column] = blocks[column];
        }

        var names = layout.Names;
        List<(string, OrtValue)> values =
        [
            (names.Ids, layout.HasLongIds
                ? OrtValue.CreateTensorValueFromMemory(
                    Array.ConvertAll(tokens.ToArray(), t => (long)t), [tokens.Length])
                : OrtValue.CreateTensorValueFromMemory(tokens.ToArray(), [tokens.Length])),
            (layout.Lengths, OrtValue.CreateTensorValueFromMemory(lengths, [count + 1])),
            (names.PastLengths, OrtValue.CreateTensorValueFromMemory(past.ToArray(), [count])),
            (names.BlockTable, OrtValue.CreateTensorValueFromMemory(table, [count, columns])),
        ];
        // Upper bounds of the new tokens and of all tokens of a row, and a lower bound of the longest row.
        int[] bounds = [longestRead, longest, longest];
        if (layout.Bounds > 0)
            values.Add((names.AttentionBounds, OrtValue.CreateTensorValueFromMemory(
                bounds[..Math.Min(layout.Bounds, bounds.Length)], [Math.Min(layout.Bounds, bounds.Length)])));
        return values;
    }
}
