using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using Sluice.Worker.Models;
using Sluice.Worker.Tensors;

namespace Sluice.Worker.Api;

/// <summary>
/// Implements Triton's classification extension: returns the highest values of an output as strings
/// <c>value:index</c> or <c>value:index:label</c>. Values are ranked for each row, or over the whole output if the
/// model's requests are not stacked.
/// </summary>
internal static class Classification
{
    private static readonly DataType Bytes = DataType.FromName("BYTES")!;

    /// <summary>
    /// Triton formats values with <c>std::to_string</c>: floats have six decimals, integers have none.
    /// </summary>
    private const string Decimals = "F6";

    private const string Digits = "D";

    /// <summary>Replaces the values of an output with its highest classes.</summary>
    /// <param name="output">The output of the model.</param>
    /// <param name="classes">Maximum number of classes for each row.</param>
    /// <param name="model">The model, for its labels.</param>
    /// <exception cref="InvalidRequestException">The output's datatype has no order.</exception>
    public static OutputTensor Classify(in OutputTensor output, int classes, OnnxModel model)
    {
        if (output.Type.IsBytes) throw CannotClassify(output);
        var rows = model.Batches && output.Shape.Length > 1 ? (int)output.Shape[0] : 1;
        var strings = Strings(output, rows, classes, model.Labels);
        long[] shape = model.Batches ? [rows, rows == 0 ? 0 : strings.Length / rows] : [strings.Length];
        return output with
        {
            Type = Bytes,
            Shape = shape,
            Value = null,
            First = 0,
            Count = strings.Length,
            Strings = strings,
        };
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
            _ => throw CannotClassify(output),
        };
    }

    private static InvalidRequestException CannotClassify(in OutputTensor output) => new(
        $"The datatype of output '{output.Spec.Name}' is '{output.Type.Name}'; expected BOOL or a numeric type "
        + "for 'classification'.");

    /// <summary>Returns the highest values of each row, formatted as classes.</summary>
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
                    $"{values[first + i].ToString(format, CultureInfo.InvariantCulture)}:{i}"
                    + (i < labels.Count ? ":" + labels[i] : ""));
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
