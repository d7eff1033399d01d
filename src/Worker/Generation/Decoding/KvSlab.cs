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

    /// <summary>Copies the tokens of a row. In a row, the tokens of each head are consecutive.</summary>
    private static void CopyRow(
        KvTensor tensor,
        (nint Buffer, int Length, int Row) from,
        (nint Buffer, int Length, int Row) to,
        int tokens)
    {
        var bytes = tokens * tensor.CellBytes;
        for (var head = 0; head < tensor.Heads; head++)
            Buffer.MemoryCopy(Cell(from, head), Cell(to, head), bytes, bytes);

        byte* Cell((nint Buffer, int Length, int Row) at, int head) =>
            (byte*)at.Buffer + (((at.Row * tensor.Heads) + head) * at.Length * tensor.CellBytes);
    }

    private static nint Address(OrtValue value)
    {
        fixed (byte* first = value.GetTensorMutableRawData()) return (nint)first;
    }
}
