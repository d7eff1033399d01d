using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;
using Sluice.Worker.Runtime;
using Sluice.Worker.Tensors;
using static Sluice.Worker.Tensors.ProtoWriter;

namespace Sluice.Worker.Generation.Decoding;

/// <summary>
/// Copies tokens between the blocks of a buffer in the memory of a device, with a model of two operators: GatherND
/// reads them, and ScatterND writes them. Its output is bound to its input, so that ScatterND writes in place. ONNX
/// Runtime has no function that copies a part of a tensor. Not thread-safe.
/// </summary>
internal sealed class CellCopy : IDisposable
{
    private readonly InferenceSession session;

    private CellCopy(InferenceSession session) => this.session = session;

    /// <summary>Opens the model.</summary>
    /// <param name="of">The session whose providers run the copies.</param>
    /// <param name="type">Element type of the buffers.</param>
    /// <returns>Null: the providers do not have the operators for this type.</returns>
    public static CellCopy? Open(ModelSession of, DataType type)
    {
        try
        {
            return new CellCopy(of.OpenOwn(Model((int)type.Element)));
        }
        catch (OnnxRuntimeException)
        {
            return null;
        }
    }

    /// <summary>Copies the first tokens of a block to another block.</summary>
    /// <param name="buffer">The buffer, with the shape [blocks, block size, heads, width].</param>
    /// <param name="from">The block that is read.</param>
    /// <param name="to">The block that is written.</param>
    /// <param name="tokens">Number of tokens.</param>
    public void Run(OrtValue buffer, int from, int to, int tokens)
    {
        using var source = Cells(from, tokens);
        using var target = Cells(to, tokens);
        using var options = new RunOptions();
        session.Run(options, ["cache", "from", "to"], [buffer, source, target], ["copied"], [buffer]);
    }

    public void Dispose() => session.Dispose();

    private static OrtValue Cells(int block, int tokens)
    {
        var cells = new long[2 * tokens];
        for (var i = 0; i < tokens; i++) (cells[2 * i], cells[(2 * i) + 1]) = (block, i);
        return OrtValue.CreateTensorValueFromMemory(cells, [tokens, 2]);
    }

    /// <summary>Returns the model as protobuf (github.com/onnx/onnx/blob/main/onnx/onnx.proto).</summary>
    private static byte[] Model(int type)
    {
        var (copied, index) = (Value("copied", type, 4), (int)TensorElementType.Int64);
        var graph = Join(
            Field(1, Node("GatherND", "cells", "cache", "from")),
            Field(1, Node("ScatterND", "copied", "cache", "to", "cells")), Text(2, "copy"),
            Field(11, Value("cache", type, 4)), Field(11, Value("from", index, 2)), Field(11, Value("to", index, 2)),
            Field(12, copied));
        return Join(Number(1, 8), Field(7, graph), Field(8, Join(Text(1, ""), Number(2, 17))));
    }

    private static byte[] Node(string type, string output, params string[] inputs) =>
        Join([.. inputs.Select(i => Text(1, i)), Text(2, output), Text(3, type), Text(4, type)]);

    /// <summary>A tensor with free dimensions.</summary>
    private static byte[] Value(string name, int type, int rank)
    {
        var shape = Join([.. Enumerable.Range(0, rank).Select(i => Field(1, Text(2, $"{name}_{i}")))]);
        return Join(Text(1, name), Field(2, Field(1, Join(Number(1, type), Field(2, shape)))));
    }
}
