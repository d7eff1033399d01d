using Microsoft.ML.OnnxRuntime;
using Sluice.Worker.Tensors;

namespace Sluice.Worker.Models;

/// <summary>
/// Generates rows of small numbers that show at load how a model behaves. Equal rows get equal numbers. The numbers are
/// valid as indexes, masks and pixels.
/// </summary>
internal static class SyntheticInputs
{
    /// <summary>
    /// Largest difference between two results of the same row, relative to the larger of 1 and the value. Kernels for
    /// different batch sizes add in different orders.
    /// </summary>
    private const double Tolerance = 1e-3;

    /// <summary>Creates a tensor for an input. Free dimensions are 1.</summary>
    /// <param name="spec">The input.</param>
    /// <param name="row">Index of the first row.</param>
    /// <param name="count">Number of rows.</param>
    /// <param name="stacked">True if the first dimension counts rows. False if the whole tensor is one row.</param>
    public static OrtValue Create(TensorSpec spec, int row, int count, bool stacked = true)
    {
        long[] rowShape = [.. (stacked ? spec.Shape[1..] : spec.Shape).Select(d => d < 0 ? 1 : d)];
        var value = TensorValues.Allocate(spec.Type, stacked ? [count, .. rowShape] : rowShape, zero: true);
        var elements = (int)rowShape.Aggregate(1L, (a, d) => a * d);
        var words = Words(spec.Type);
        var raw = value.GetTensorMutableRawData();
        for (var r = 0; r < count; r++)
            for (var i = 0; i < elements; i++)
                words[Bit(((row + r) * 7919) + i)].CopyTo(raw[(((r * elements) + i) * spec.Type.Size)..]);
        return value;
    }

    public static double[] Numbers(ReadOnlySpan<byte> raw, DataType type)
    {
        var numbers = new double[raw.Length / type.Size];
        for (var i = 0; i < numbers.Length; i++)
        {
            var one = raw.Slice(i * type.Size, type.Size);
            numbers[i] = type.Name switch
            {
                "FP32" => BitConverter.ToSingle(one),
                "FP64" => BitConverter.ToDouble(one),
                "FP16" => (double)BitConverter.ToHalf(one),
                "BF16" => BitConverter.UInt32BitsToSingle((uint)BitConverter.ToUInt16(one) << 16),
                _ => type.Size switch
                {
                    1 => one[0],
                    2 => BitConverter.ToInt16(one),
                    4 => BitConverter.ToInt32(one),
                    _ => BitConverter.ToInt64(one),
                },
            };
        }

        return numbers;
    }

    public static bool Alike(ReadOnlySpan<byte> a, ReadOnlySpan<byte> b, DataType type) =>
        Alike(Numbers(a, type), Numbers(b, type));

    public static bool Alike(double[] a, double[] b) =>
        a.Length == b.Length && a.Zip(b).All(p => Near(p.First, p.Second));

    /// <summary>
    /// Returns the highest bit of a multiplicative hash (Knuth). A random number generator per element would take a
    /// second for a batch of images.
    /// </summary>
    private static int Bit(int at) => (int)(unchecked((uint)at * 2654435761u) >> 31);

    /// <summary>Returns the two numbers as bytes: 0 and 1 for integers, 1/4 and 3/4 for floats.</summary>
    private static byte[][] Words(DataType type) => type.Name switch
    {
        "FP32" => [BitConverter.GetBytes(0.25f), BitConverter.GetBytes(0.75f)],
        "FP64" => [BitConverter.GetBytes(0.25), BitConverter.GetBytes(0.75)],
        "FP16" => [BitConverter.GetBytes((Half)0.25), BitConverter.GetBytes((Half)0.75)],
        // The upper halves of the same 32-bit floats.
        "BF16" => [[0x80, 0x3e], [0x40, 0x3f]],
        _ => [new byte[type.Size], [1, .. new byte[type.Size - 1]]],
    };

    private static bool Near(double a, double b) =>
        a.Equals(b) || Math.Abs(a - b) <= Tolerance * Math.Max(1, Math.Max(Math.Abs(a), Math.Abs(b)));
}
