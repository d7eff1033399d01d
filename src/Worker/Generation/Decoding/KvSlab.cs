using Microsoft.ML.OnnxRuntime;

namespace Sluice.Worker.Generation.Decoding;

/// <summary>
/// Rows in shared buffers: each layer has one buffer for keys and one for values with the shape [rows, heads, length,
/// width]. Attention extends the rows in place, and one run can use any number of consecutive rows.
/// </summary>
/// <param name="layout">The layers.</param>
/// <param name="memory">Memory that the attention uses. The host must be able to address it.</param>
internal sealed unsafe class KvSlab(DecoderLayout layout, OrtAllocator memory) : IKvRows
{
    private readonly OrtValue?[] buffers = new OrtValue?[layout.Cache.Count];
    private readonly Dictionary<(int First, int Count), OrtValue[]> views = [];

    /// <summary>
    /// Returns the number of tokens for which a slab can have room in all rows: ONNX Runtime's API for .NET gives the
    /// address of a tensor only up to 2 GiB.
    /// </summary>
    public static long MaxTokens(DecoderLayout layout) => int.MaxValue / layout.Cache.Max(c => c.TokenBytes);

    public int Rows { get; private set; }

    public int Length { get; private set; }

    public bool IsShared => true;

    /// <summary>Changes when rows are moved, copied, resized or appended to.</summary>
    public long Version { get; private set; }

    /// <summary>
    /// Changes the size, one layer after the other, so that the peak of the memory is the new size plus one layer of
    /// the old size.
    /// </summary>
    public void Resize(int rows, int length, ReadOnlySpan<int> used)
    {
        DropViews();
        for (var i = 0; i < buffers.Length; i++)
        {
            var tensor = layout.Cache[i];
            var next = OrtValue.CreateAllocatedTensorValue(memory, tensor.Type.Element,
                [rows, tensor.Heads, length, tensor.Width]);
            for (var row = 0; row < used.Length; row++)
                CopyRow(tensor, (Address(buffers[i]!), Length, row), (Address(next), length, row), used[row]);
            buffers[i]?.Dispose();
            buffers[i] = next;
        }

        (Rows, Length) = (rows, length);
        Version++;
    }

    public void Move(int from, int to, int tokens) => Copy(from, to, tokens);

    public void Copy(int from, int to, int tokens)
    {
        if (from == to || tokens == 0) return;
        for (var i = 0; i < buffers.Length; i++)
        {
            var address = Address(buffers[i]!);
            CopyRow(layout.Cache[i], (address, Length, from), (address, Length, to), tokens);
        }

        Version++;
    }

    /// <summary>
    /// Returns a copy of consecutive rows of one tensor with the shape [rows, heads, padded, width], in which each row
    /// ends at the end. The padding before it is zero. The caller disposes it.
    /// </summary>
    /// <param name="index">Index of the tensor in the layout.</param>
    /// <param name="first">The first row.</param>
    /// <param name="tokens">Number of tokens of each row.</param>
    /// <param name="padded">Length of the copy, at least the longest row.</param>
    public OrtValue Gather(int index, int first, ReadOnlySpan<int> tokens, int padded)
    {
        var tensor = layout.Cache[index];
        var copy = OrtValue.CreateAllocatedTensorValue(OrtAllocator.DefaultInstance, tensor.Type.Element,
            [tokens.Length, tensor.Heads, padded, tensor.Width]);
        if (padded == 0) return copy;
        var (from, to) = (Address(buffers[index]!), Address(copy));
        for (var row = 0; row < tokens.Length; row++)
        {
            var start = padded - tokens[row];
            for (var head = 0; head < tensor.Heads; head++)
                new Span<byte>(Cell(tensor, (to, padded, row), head), (int)(start * tensor.CellBytes)).Clear();
            CopyRow(tensor, (from, Length, first + row), (to, padded, row), tokens[row], 0, start);
        }

        return copy;
    }

    /// <summary>Copies the new tokens of a run to the ends of the rows.</summary>
    /// <param name="index">Index of the tensor in the layout.</param>
    /// <param name="first">The first row.</param>
    /// <param name="tokens">Number of tokens that each row contains.</param>
    /// <param name="present">The output, with the shape [rows, heads, padded + count, width].</param>
    /// <param name="padded">Length of the past of all rows in the output.</param>
    /// <param name="count">Number of new tokens of each row.</param>
    public void Append(int index, int first, ReadOnlySpan<int> tokens, OrtValue present, int padded, int count)
    {
        var tensor = layout.Cache[index];
        for (var row = 0; row < tokens.Length; row++)
            CopyRow(tensor, (Address(present), padded + count, row), (Address(buffers[index]!), Length, first + row),
                count, padded, tokens[row]);
        Version++;
    }

    public OrtValue[] View(int first, int count)
    {
        if (views.TryGetValue((first, count), out var view)) return view;
        view = [.. layout.Cache.Select((tensor, i) => Slice(tensor, buffers[i]!, first, count))];
        views.Add((first, count), view);
        return view;
    }

    public void Dispose()
    {
        DropViews();
        for (var i = 0; i < buffers.Length; i++)
        {
            buffers[i]?.Dispose();
            buffers[i] = null;
        }

        (Rows, Length) = (0, 0);
        Version++;
    }

    private OrtValue Slice(KvTensor tensor, OrtValue whole, int first, int count)
    {
        var rowBytes = tensor.TokenBytes * Length;
        return OrtValue.CreateTensorValueWithData(whole.GetTensorMemoryInfo(), tensor.Type.Element,
            [count, tensor.Heads, Length, tensor.Width], Address(whole) + (nint)(first * rowBytes), count * rowBytes);
    }

    private void DropViews()
    {
        foreach (var value in views.Values.SelectMany(v => v)) value.Dispose();
        views.Clear();
    }

    /// <summary>Copies tokens of a row. In a row, the tokens of each head are consecutive.</summary>
    private static void CopyRow(
        KvTensor tensor,
        (nint Buffer, int Length, int Row) from,
        (nint Buffer, int Length, int Row) to,
        int tokens,
        int fromToken = 0,
        int toToken = 0)
    {
        var bytes = tokens * tensor.CellBytes;
        for (var head = 0; head < tensor.Heads; head++)
            Buffer.MemoryCopy(
                Cell(tensor, from, head) + (fromToken * tensor.CellBytes),
                Cell(tensor, to, head) + (toToken * tensor.CellBytes),
                bytes,
                bytes);
    }

    /// <summary>Returns the address of the first token of a head in a row.</summary>
    private static byte* Cell(KvTensor tensor, (nint Buffer, int Length, int Row) at, int head) =>
        (byte*)at.Buffer + (((at.Row * tensor.Heads) + head) * at.Length * tensor.CellBytes);

    private static nint Address(OrtValue value)
    {
        fixed (byte* first = value.GetTensorMutableRawData()) return (nint)first;
    }
}
