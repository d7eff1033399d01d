using Microsoft.ML.OnnxRuntime;
using Sluice.Worker.Models;
using Sluice.Worker.Tensors;

namespace Sluice.Worker.Batching;

/// <summary>
/// Contains a tensor with the maximum number of rows of a batch, and views of its first n rows. A view is created
/// once for each n, so a run of n rows needs neither a copy nor an allocation.
/// </summary>
internal sealed class TensorBuffer : IDisposable
{
    private readonly OrtValue whole;
    private readonly OrtMemoryInfo place;
    private readonly (OrtValue View, long[] Shape)[] views;
    private readonly bool stacked;
    private readonly long[] rowShape;
    private readonly DataType type;

    /// <param name="memory">Allocator of the host or the device.</param>
    /// <param name="spec">The input or output.</param>
    /// <param name="rowShape">Shape without the batch dimension.</param>
    /// <param name="rows">Maximum number of rows.</param>
    /// <param name="stacked">Whether the tensor has a batch dimension. If not, the whole tensor is one row.</param>
    public TensorBuffer(OrtAllocator memory, TensorSpec spec, long[] rowShape, int rows, bool stacked)
    {
        type = spec.Type;
        views = new (OrtValue, long[])[rows + 1];
        this.rowShape = rowShape;
        this.stacked = stacked;
        RowElements = rowShape.Aggregate(1L, (a, d) => a * d);
        whole = OrtValue.CreateAllocatedTensorValue(memory, type.Element, stacked ? [rows, .. rowShape] : rowShape);
        place = whole.GetTensorMemoryInfo();
        unsafe
        {
            // Only the address is used: the memory of a device cannot be accessed from the host.
            fixed (byte* first = whole.GetTensorMutableRawData()) Address = (nint)first;
        }
    }

    /// <summary>Allocates a buffer for the largest batch of a model whose shapes are known.</summary>
    public static TensorBuffer ForLargestBatch(OrtAllocator memory, TensorSpec spec, OnnxModel model) =>
        new(memory, spec, model.RowShape(spec), model.MaxBatch, model.Batches);

    /// <summary>Address of the first byte.</summary>
    public nint Address { get; }

    /// <summary>Shape without the batch dimension.</summary>
    public long[] RowShape => rowShape;

    /// <summary>Number of elements of one row.</summary>
    public long RowElements { get; }

    /// <summary>Size of one row in bytes.</summary>
    public long RowBytes => RowElements * type.Size;

    /// <summary>Returns the memory of some rows. Not possible for a buffer on a device.</summary>
    public unsafe Span<byte> Rows(int first, int count) =>
        new((byte*)Address + (first * RowBytes), checked((int)(count * RowBytes)));

    /// <summary>Returns the first rows as a tensor.</summary>
    public OrtValue View(int rows) => GetOrCreateView(rows).View;

    /// <summary>Returns the shape of the first rows.</summary>
    public long[] Shape(int rows) => GetOrCreateView(rows).Shape;

    public void Dispose()
    {
        foreach (var (view, _) in views) view?.Dispose();
        whole.Dispose();
    }

    private (OrtValue View, long[] Shape) GetOrCreateView(int rows)
    {
        if (views[rows].View is not null) return views[rows];
        long[] shape = stacked ? [rows, .. rowShape] : rowShape;
        var view = OrtValue.CreateTensorValueWithData(place, type.Element, shape, Address, rows * RowBytes);
        return views[rows] = (view, shape);
    }
}
