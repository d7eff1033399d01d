using Sluice.Worker.Configuration;

namespace Sluice.Worker.Models.Inspection;

/// <summary>
/// Reads a model.onnx before ONNX Runtime does and rejects content that no valid exporter writes. It reads every byte
/// at most once and skips weights, so it needs milliseconds and 64 KiB for a model of any size. It neither trusts a
/// number in the file nor allocates by it. It is not a sandbox: operators such as ConstantOfShape or Expand can still
/// allocate any amount of memory when they run, so the worker also needs a memory limit. It does not detect changes
/// of the file after the inspection, so only the operator of the worker can have write access to the model
/// repository.
/// </summary>
public static class ModelInspector
{
    /// <summary>
    /// Largest size of a protobuf message in bytes. Larger models keep their weights in external files.
    /// </summary>
    private const long MaxProtobuf = int.MaxValue;

    /// <summary>Inspects the file. Checks the name and the size of the external files that it references.</summary>
    /// <exception cref="UnsafeModelException">The file is malformed, references a path outside its folder or exceeds a
    /// limit.</exception>
    /// <exception cref="IOException">The file cannot be read.</exception>
    public static ModelFacts Inspect(string path, ModelLimits limits)
    {
        path = Path.GetFullPath(path);
        using var file = File.OpenHandle(path, options: FileOptions.SequentialScan);
        var length = RandomAccess.GetLength(file);
        var reader = new ProtoReader(file, path, length);
        if (length == 0) throw reader.Refuse("it is empty", "an ONNX model");
        var head = new byte[FileKind.Head];
        if (FileKind.Detect(head.AsSpan(0, RandomAccess.Read(file, head, 0))) is { } kind)
            throw reader.Refuse($"it is not an ONNX model: it is {kind.Name}", $"an ONNX model; {kind.Action}");
        if (length > limits.MaxModelBytes)
            throw reader.Refuse($"it is {length} bytes", $"{limits.MaxModelBytes} (SLUICE_MAX_MODEL_BYTES)");
        if (length > MaxProtobuf)
            throw reader.Refuse(
                $"it is {length} bytes",
                $"{MaxProtobuf} in one file, weights beside it as external data");
        var external = new ExternalData(Path.GetDirectoryName(path)!, limits, reader.Refuse);
        var tensors = new TensorCheck(reader, limits, external);
        var walk = new GraphWalk(reader, limits, tensors);
        walk.Model(length);
        if (external.TotalBytes > limits.MaxModelBytes - length)
            throw reader.Refuse(
                $"it and its external files are {length + external.TotalBytes} bytes",
                $"{limits.MaxModelBytes} (SLUICE_MAX_MODEL_BYTES)");
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
            HasCache = walk.HasCache,
        };
    }
}
