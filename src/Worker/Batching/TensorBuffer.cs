using Microsoft.ML.OnnxRuntime;
using Sluice.Worker.Models;
using Sluice.Worker.Runtime;

namespace Sluice.Worker.Batching;

/// <summary>
/// A tensor of as many rows as a batch may have, and views of its first n rows, made once for each n: a run of n rows binds a view, so
/// that nothing is copied and nothing allocated.
/// </summary>
internal sealed class TensorBuffer : IDisposable
{
    private readonly OrtValue whole;
    private readonly OrtValue?[] views;
    private readonly long[] rowShape;
    private readonly DataType type;
    private readonly nint address;

    /// <param name="spec">The input or output.</param>
    /// <param name="rowShape">Its shape without the batch dimension.</param>
    /// <param name="rows">Most rows.</param>
    public TensorBuffer(TensorSpec spec, long[] rowShape, int rows)
    {
        (type, this.rowShape, views) = (spec.Type, rowShape, new OrtValue?[rows + 1]);
        RowElements = rowShape.Aggregate(1L, (a, d) => a * d);
        whole = OrtValue.CreateAllocatedTensorValue(OrtAllocator.DefaultInstance, type.Element, [rows, .. rowShape]);
        unsafe
        {
            fixed (byte* first = whole.GetTensorMutableRawData()) address = (nint)first;
        }
    }

    public long[] RowShape => rowShape;

    /// <summary>Elements of one row.</summary>
    public long RowElements { get; }

    public long RowBytes => RowElements * type.Size;

    /// <summary>The memory of some rows.</summary>
    public unsafe Span<byte> Rows(int first, int count) => new((byte*)address + (first * RowBytes), checked((int)(count * RowBytes)));

    /// <summary>The first n rows as a tensor.</summary>
    public OrtValue View(int rows) => views[rows] ??= OrtValue.CreateTensorValueWithData(OrtMemoryInfo.DefaultInstance, type.Element,
        [rows, .. rowShape], address, rows * RowBytes);

    public void Dispose()
    {
        foreach (var view in views) view?.Dispose();
        whole.Dispose();
    }
}
