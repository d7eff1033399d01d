using static Sluice.Worker.Tensors.ProtoWriter;

namespace Sluice.Worker.Doctor;

/// <summary>
/// The model of the doctor's trial as protobuf (github.com/onnx/onnx/blob/main/onnx/onnx.proto): <c>y = relu(x ·
/// w)</c> with x of shape [1,2] and w = [[1,-1],[2,-2]], so x = [1,1] returns [3,0]. It is a matrix product, because
/// a copy would prove neither the device's code nor its math library.
/// </summary>
internal static class MinimalOnnxModel
{
    public static readonly float[] Input = [1, 1];

    public static readonly float[] Output = [3, 0];

    private const int Float = 1;

    public static byte[] Bytes()
    {
        var weight = Join(Number(1, 2), Number(1, 2), Number(2, Float), Text(8, "w"),
            Field(9, [.. new float[] { 1, -1, 2, -2 }.SelectMany(BitConverter.GetBytes)]));
        var graph = Join(Field(1, Node("MatMul", "h", "x", "w")), Field(1, Node("Relu", "y", "h")), Text(2, "doctor"),
            Field(5, weight), Field(11, Value("x")), Field(12, Value("y")));
        return Join(Number(1, 8), Field(7, graph), Field(8, Join(Text(1, ""), Number(2, 17))));
    }

    private static byte[] Node(string type, string output, params string[] inputs) =>
        Join([.. inputs.Select(i => Text(1, i)), Text(2, output), Text(3, type.ToLowerInvariant()), Text(4, type)]);

    private static byte[] Value(string name)
    {
        var shape = Join(Field(1, Number(1, 1)), Field(1, Number(1, 2)));
        return Join(Text(1, name), Field(2, Field(1, Join(Number(1, Float), Field(2, shape)))));
    }
}
