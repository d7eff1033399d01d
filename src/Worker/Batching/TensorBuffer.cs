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
    private readonly OrtMemoryInfo place;
    private readonly (OrtValue View, long[] Shape)[] views;
    private readonly bool stacked;
    private readonly long[] rowShape;
    private readonly DataType type;

    /// <param name="memory">Where: the host's, or the device's.</param>
    /// <param name="spec">The input or output.</param>
    /// <param name="rowShape">Its shape without the dimension of rows.</param>
    /// <param name="rows">Most rows.</param>
    /// <param name="stacked">The tensor has a dimension of rows; else there is one row, which is all of it.</param>
    public TensorBuffer(OrtAllocator memory, TensorSpec spec, long[] rowShape, int rows, bool stacked)
    {
        (type, this.rowShape, views, this.stacked) = (spec.Type, rowShape, new (OrtValue, long[])[rows + 1], stacked);
        RowElements = rowShape.Aggregate(1L, (a, d) => a * d);
        whole = OrtValue.CreateAllocatedTensorValue(memory, type.Element, stacked ? [rows, .. rowShape] : rowShape);
        place = whole.GetTensorMemoryInfo();
        unsafe
        {
            // An address only: a device's memory cannot be read from here.
            fixed (byte* first = whole.GetTensorMutableRawData()) Address = (nint)first;
        }
    }

    /// <summary>For the largest batch of a model, whose shapes are known.</summary>
    public static TensorBuffer Of(OrtAllocator memory, TensorSpec spec, LoadedModel model) => new(memory, spec, model.RowShape(spec), model.MaxBatch, model.Batches);

    /// <summary>Its first byte.</summary>
    public nint Address { get; }

    public long[] RowShape => rowShape;

    /// <summary>Elements of one row.</summary>
    public long RowElements { get; }

    public long RowBytes => RowElements * type.Size;

    /// <summary>The memory of some rows; not of a device.</summary>
    public unsafe Span<byte> Rows(int first, int count) => new((byte*)Address + (first * RowBytes), checked((int)(count * RowBytes)));

    /// <summary>The first n rows as a tensor.</summary>
    public OrtValue View(int rows) => At(rows).View;

    /// <summary>The shape of n rows.</summary>
    public long[] Shape(int rows) => At(rows).Shape;

    public void Dispose()
    {
        foreach (var (view, _) in views) view?.Dispose();
        whole.Dispose();
    }

    private (OrtValue View, long[] Shape) At(int rows)
    {
        if (views[rows].View is not null) return views[rows];
        long[] shape = stacked ? [rows, .. rowShape] : rowShape;
        return views[rows] = (OrtValue.CreateTensorValueWithData(place, type.Element, shape, Address, rows * RowBytes), shape);
    }
}
