using Microsoft.ML.OnnxRuntime;

namespace Sluice.Worker.Generation.Decoding;

/// <summary>
/// Rows with buffers of their own, for memory whose addresses the host cannot compute, such as that of WebGPU. A run
/// uses one row.
/// </summary>
/// <param name="layout">The layers.</param>
/// <param name="memory">Memory that the attention uses.</param>
internal sealed class SeparateKvRows(DecoderLayout layout, OrtAllocator memory) : IKvRows
{
    private readonly List<OrtValue[]> rows = [];

    public int Rows => rows.Count;

    public int Length { get; private set; }

    public bool IsShared => false;

    /// <summary>Changes the number of rows. The content is lost if the length changes.</summary>
    public void Resize(int rows, int length, ReadOnlySpan<int> used)
    {
        if (length != Length) Dispose();
        Length = length;
        for (; this.rows.Count > rows; this.rows.RemoveAt(this.rows.Count - 1)) Free(this.rows[^1]);
        while (this.rows.Count < rows)
            this.rows.Add([.. layout.Cache.Select(t => OrtValue.CreateAllocatedTensorValue(
                memory, t.Type.Element, [1, t.Heads, length, t.Width]))]);
    }

    public void Move(int from, int to, int tokens) => (rows[from], rows[to]) = (rows[to], rows[from]);

    public void Copy(int from, int to, int tokens) => throw new NotSupportedException("The memory cannot be copied.");

    public OrtValue[] View(int first, int count) => count == 1
        ? rows[first]
        : throw new NotSupportedException("A run uses one row.");

    public void Dispose()
    {
        foreach (var row in rows) Free(row);
        rows.Clear();
    }

    private static void Free(OrtValue[] row)
    {
        foreach (var value in row) value.Dispose();
    }
}
