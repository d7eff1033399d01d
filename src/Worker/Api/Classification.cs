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

    public static OutputTensor Of(in OutputTensor output, int classes, LoadedModel model)
    {
        if (output.Type.IsBytes)
            throw new InvalidRequestException($"output '{output.Spec.Name}' is BYTES: it cannot be classified");
        var values = Numbers(output);
        var rows = model.Batches && output.Shape.Length > 1 ? (int)output.Shape[0] : 1;
        var width = rows == 0 ? 0 : values.Length / rows;
        var top = Math.Min(classes, width);
        var strings = new byte[rows * top][];
        for (var row = 0; row < rows; row++)
        {
            var order = Enumerable.Range(0, width).OrderByDescending(i => values[(row * width) + i]).Take(top).ToArray();
            for (var k = 0; k < top; k++)
                strings[(row * top) + k] = Encoding.UTF8.GetBytes(Text(values[(row * width) + order[k]], order[k], model.Labels));
        }

        long[] shape = model.Batches ? [rows, top] : [top];
        return output with { Type = Bytes, Shape = shape, Value = null, First = 0, Count = strings.Length, Strings = strings };
    }

    /// <summary>Six decimals, as Triton's <c>std::to_string</c> gives.</summary>
    private static string Text(double value, int index, IReadOnlyList<string> labels) =>
        string.Create(CultureInfo.InvariantCulture, $"{value:F6}:{index}") + (index < labels.Count ? ":" + labels[index] : "");

    private static double[] Numbers(in OutputTensor output)
    {
        var raw = output.Raw;
        return output.Type.Name switch
        {
            "FP32" => Convert<float>(raw), "FP64" => Convert<double>(raw), "FP16" => Convert<Half>(raw),
            "UINT8" or "BOOL" => Convert<byte>(raw), "INT8" => Convert<sbyte>(raw), "UINT16" => Convert<ushort>(raw), "INT16" => Convert<short>(raw),
            "UINT32" => Convert<uint>(raw), "INT32" => Convert<int>(raw), "UINT64" => Convert<ulong>(raw), "INT64" => Convert<long>(raw),
            _ => throw new InvalidRequestException($"output '{output.Spec.Name}' is {output.Type.Name}: it cannot be classified"),
        };
    }

    private static double[] Convert<T>(ReadOnlySpan<byte> raw)
        where T : unmanaged, System.Numerics.INumberBase<T>
    {
        var elements = MemoryMarshal.Cast<byte, T>(raw);
        var numbers = new double[elements.Length];
        for (var i = 0; i < numbers.Length; i++) numbers[i] = double.CreateChecked(elements[i]);
        return numbers;
    }
}
