using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using Sluice.Worker.Batching;
using Sluice.Worker.Models;
using Sluice.Worker.Runtime;

namespace Sluice.Worker.Api;

/// <summary>
/// The classification extension: of an output, for each row (or of all of it, where requests are not stacked), the highest values as strings
/// <c>value:index</c> or <c>value:index:label</c>.
/// </summary>
internal static class Classification
{
    private static readonly DataType Bytes = DataType.Named("BYTES")!;

    /// <summary>Triton writes values by <c>std::to_string</c>: floats with six decimals, integers as they are.</summary>
    private const string Decimals = "F6";

    private const string Digits = "D";

    public static OutputTensor Of(in OutputTensor output, int classes, LoadedModel model)
    {
        if (output.Type.IsBytes)
            throw new InvalidRequestException($"output '{output.Spec.Name}' is BYTES: it cannot be classified");
        var rows = model.Batches && output.Shape.Length > 1 ? (int)output.Shape[0] : 1;
        var strings = Strings(output, rows, classes, model.Labels);
        long[] shape = model.Batches ? [rows, rows == 0 ? 0 : strings.Length / rows] : [strings.Length];
        return output with { Type = Bytes, Shape = shape, Value = null, First = 0, Count = strings.Length, Strings = strings };
    }

    private static byte[][] Strings(in OutputTensor output, int rows, int classes, IReadOnlyList<string> labels)
    {
        var raw = output.Raw;
        return output.Type.Name switch
        {
            "FP32" => Top(Doubles<float>(raw), rows, classes, labels, Decimals),
            "FP64" => Top(Doubles<double>(raw), rows, classes, labels, Decimals),
            "FP16" => Top(Doubles<Half>(raw), rows, classes, labels, Decimals),
            "UINT8" or "BOOL" => Top(Integers<byte>(raw), rows, classes, labels, Digits),
            "INT8" => Top(Integers<sbyte>(raw), rows, classes, labels, Digits),
            "UINT16" => Top(Integers<ushort>(raw), rows, classes, labels, Digits),
            "INT16" => Top(Integers<short>(raw), rows, classes, labels, Digits),
            "UINT32" => Top(Integers<uint>(raw), rows, classes, labels, Digits),
            "INT32" => Top(Integers<int>(raw), rows, classes, labels, Digits),
            "UINT64" => Top(Integers<ulong>(raw), rows, classes, labels, Digits),
            "INT64" => Top(Integers<long>(raw), rows, classes, labels, Digits),
            _ => throw new InvalidRequestException($"output '{output.Spec.Name}' is {output.Type.Name}: it cannot be classified"),
        };
    }

    /// <summary>Of each row the highest values, each as the class that it is.</summary>
    private static byte[][] Top<T>(T[] values, int rows, int classes, IReadOnlyList<string> labels, string format)
        where T : IFormattable
    {
        var width = rows == 0 ? 0 : values.Length / rows;
        var top = Math.Min(classes, width);
        var strings = new byte[rows * top][];
        for (var row = 0; row < rows; row++)
        {
            var first = row * width;
            var order = Enumerable.Range(0, width).OrderByDescending(i => values[first + i]).Take(top);
            foreach (var (k, i) in order.Index())
                strings[(row * top) + k] = Encoding.UTF8.GetBytes(
                    $"{values[first + i].ToString(format, CultureInfo.InvariantCulture)}:{i}" + (i < labels.Count ? ":" + labels[i] : ""));
        }

        return strings;
    }

    private static T[] Integers<T>(ReadOnlySpan<byte> raw)
        where T : unmanaged => MemoryMarshal.Cast<byte, T>(raw).ToArray();

    private static double[] Doubles<T>(ReadOnlySpan<byte> raw)
        where T : unmanaged, System.Numerics.INumberBase<T>
    {
        var elements = MemoryMarshal.Cast<byte, T>(raw);
        var numbers = new double[elements.Length];
        for (var i = 0; i < numbers.Length; i++) numbers[i] = double.CreateChecked(elements[i]);
        return numbers;
    }
}
