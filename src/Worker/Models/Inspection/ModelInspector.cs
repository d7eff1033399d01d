namespace Sluice.Worker.Models.Inspection;

/// <summary>
/// Reads a model.onnx before ONNX Runtime does and refuses what no honest exporter writes. Every byte is read at most once and
/// weights are skipped, so that it takes milliseconds and 64 KiB whatever the size; it neither allocates by nor
/// trusts any number in the file. It is no sandbox: operators such as ConstantOfShape or Expand can still ask for any
/// amount of memory when they run, so the worker also wants a memory limit. A file that is changed after the inspection
/// is not seen: nobody but the worker's operator should be able to write to the model repository.
/// </summary>
public static class ModelInspector
{
    /// <summary>Protobuf cannot hold more in one message; larger models keep their weights in external files.</summary>
    private const long MaxProtobuf = int.MaxValue;

    /// <summary>Inspects the file and, by name and size, the external files it mentions.</summary>
    /// <exception cref="UnsafeModelException">It is malformed, leads outside of its folder or asks for too much.</exception>
    /// <exception cref="IOException">It cannot be read.</exception>
    public static ModelFacts Inspect(string path, ModelLimits limits)
    {
        path = Path.GetFullPath(path);
        using var file = File.OpenHandle(path, options: FileOptions.SequentialScan);
        var length = RandomAccess.GetLength(file);
        var reader = new ProtoReader(file, path, length);
        if (length == 0) throw reader.Refuse("it is empty", "an ONNX model");
        var head = new byte[FileKind.Head];
        if (FileKind.Of(head.AsSpan(0, RandomAccess.Read(file, head, 0))) is { } kind)
            throw reader.Refuse($"it is not an ONNX model: it is {kind.Name}", $"an ONNX model; {kind.Action}");
        if (length > limits.MaxModelBytes)
            throw reader.Refuse($"it is {length} bytes", $"{limits.MaxModelBytes} (SLUICE_MAX_MODEL_BYTES)");
        if (length > MaxProtobuf)
            throw reader.Refuse($"it is {length} bytes", $"{MaxProtobuf} in one file, weights beside it as external data");
        var external = new ExternalData(Path.GetDirectoryName(path)!, limits, reader.Refuse);
        var tensors = new TensorCheck(reader, limits, external);
        var walk = new GraphWalk(reader, limits, tensors);
        walk.Model(length);
        if (external.TotalBytes > limits.MaxModelBytes - length)
            throw reader.Refuse($"it and its external files are {length + external.TotalBytes} bytes", $"{limits.MaxModelBytes} (SLUICE_MAX_MODEL_BYTES)");
        return new ModelFacts
        {
            Path = path,
            IrVersion = walk.IrVersion,
            Producer = walk.Producer,
            ProducerVersion = walk.ProducerVersion,
            Opsets = walk.Domains.Opsets,
            Nodes = walk.Nodes,
            Tensors = tensors.Tensors,
            InitializerBytes = tensors.TotalBytes,
            ModelBytes = length + external.TotalBytes,
            ExternalFiles = external.Files,
            BytesByType = tensors.BytesByType,
            ValueTypes = walk.ValueTypes,
        };
    }
}
