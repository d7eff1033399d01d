using System.Buffers;
using System.Text.Json;
using Sluice.Worker.Http;
using Sluice.Worker.Models;
using Sluice.Worker.Tensors;

namespace Sluice.Worker.Requests;

/// <summary>
/// Reads an inference request of the Open Inference Protocol: a JSON document, followed by binary tensors if the
/// client uses the binary extension. The document is parsed once. The elements of a tensor stay in the body until the
/// request has a place in a batch.
/// </summary>
public ref struct InferRequestReader
{
    private readonly OnnxModel model;
    private readonly ReadOnlyMemory<byte> json;
    private readonly InferRequest request;
    private Utf8JsonReader reader;
    private ReadOnlySequence<byte> binary;
    private int offset;

    private InferRequestReader(
        OnnxModel model,
        ReadOnlyMemory<byte> json,
        ReadOnlySequence<byte> binary,
        InferRequest request)
    {
        this.model = model;
        this.json = json;
        this.binary = binary;
        this.request = request;
        reader = new Utf8JsonReader(json.Span, RequestJson.Options);
    }

    /// <summary>Parses a request.</summary>
    /// <param name="model">The model that defines inputs and outputs.</param>
    /// <param name="json">The JSON document.</param>
    /// <param name="binary">The data after the document.</param>
    /// <exception cref="InvalidRequestException">The request is invalid; the message contains the reason.</exception>
    public static InferRequest Read(OnnxModel model, ReadOnlyMemory<byte> json, ReadOnlySequence<byte> binary)
    {
        var request = new InferRequest(model) { Json = json };
        try
        {
            new InferRequestReader(model, json, binary, request).ReadDocument();
            return request;
        }
        catch (JsonException e)
        {
            throw RequestJson.Syntax(json.Span, e);
        }
        catch (InvalidOperationException e) when (e.InnerException is System.Text.DecoderFallbackException)
        {
            throw RequestJson.NotUtf8();
        }
    }

    private void ReadDocument()
    {
        if (!reader.Read() || reader.TokenType != JsonTokenType.StartObject)
            throw RequestJson.NotAnObject();
        var (hasInputs, hasInput, hasModel, hasMessages) = (false, false, false, false);
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            if (reader.ValueTextEquals("inputs"u8))
            {
                hasInputs = true;
                reader.ReadList("inputs");
                while (reader.Read() && reader.TokenType != JsonTokenType.EndArray) ReadInput();
            }
            else if (reader.ValueTextEquals("outputs"u8))
            {
                reader.ReadList("outputs");
                while (reader.Read() && reader.TokenType != JsonTokenType.EndArray) ReadOutput();
            }
            else if (reader.ValueTextEquals("id"u8))
            {
                request.Id = reader.ReadString("id");
            }
            else if (reader.ValueTextEquals("parameters"u8))
            {
                reader.ReadObject("parameters");
                while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
                    RequestParameters.ReadOne(ref reader, request, model.Name);
            }
            else
            {
                hasInput |= reader.ValueTextEquals("input"u8);
                hasModel |= reader.ValueTextEquals("model"u8);
                hasMessages |= reader.ValueTextEquals("messages"u8);
                reader.Skip();
            }
        }

        if (!hasInputs)
            throw new InvalidRequestException(
                "Unable to parse 'inputs': attempt to access non-existing object member 'inputs'"
                + RequestJson.HintFor(hasInput, hasModel, hasMessages));
        if (reader.Read()) throw RequestJson.TrailingData();
        if (binary.Length > 0)
            throw new InvalidRequestException($"unexpected additional input data for model '{model.Name}': "
                + $"{binary.Length} bytes are left after the binary inputs");
        CheckComplete();
        request.ComputeBatchShare();
    }

    private void CheckComplete()
    {
        var given = request.Inputs;
        if (Array.IndexOf(given, null) >= 0)
        {
            var missing = model.InputNames.Where((_, i) => given[i] is null).Select(n => $"'{n}'").ToList();
            throw new InvalidRequestException(
                $"expected {given.Length} inputs but got {given.Length - missing.Count} inputs for model "
                + $"'{model.Name}'; missing: {string.Join(", ", missing)}");
        }

        foreach (var output in request.Outputs)
            if (model.Output(output.Name) is null)
                throw new InvalidRequestException(
                    $"unexpected inference output '{output.Name}' for model '{model.Name}', expected some of "
                    + string.Join(", ", model.Outputs.Select(o => $"'{o.Name}'")));
    }

    private void ReadInput()
    {
        reader.Expect(JsonTokenType.StartObject, "inputs", "an object");
        string? name = null, type = null;
        long[]? shape = null;
        long? binarySize = null;
        ReadOnlyMemory<byte>? data = null;
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            if (reader.ValueTextEquals("name"u8)) name = ReadInputName();
            else if (reader.ValueTextEquals("datatype"u8)) type = ReadDataType();
            else if (reader.ValueTextEquals("shape"u8)) shape = ReadShape(name);
            else if (reader.ValueTextEquals("parameters"u8)) binarySize = ReadBinarySize(name);
            else if (reader.ValueTextEquals("data"u8))
            {
                // The data is read later: name, type and shape may follow it, and its place in a batch is not known
                // yet.
                data = reader.SkipValue(json, ref offset);
            }
            else reader.Skip();
        }

        AddInput(name, type, shape, binarySize, data);
    }

    private void AddInput(string? name, string? type, long[]? shape, long? binarySize, ReadOnlyMemory<byte>? data)
    {
        if (name is null) throw new InvalidRequestException("Unable to parse 'inputs': an input has no 'name'");
        if (type is null) throw new InvalidRequestException($"input '{name}' has no 'datatype'");
        if (shape is null) throw new InvalidRequestException($"input '{name}' has no 'shape'");
        if (DataType.FromName(type) is not { } dataType)
            throw new InvalidRequestException(
                $"The datatype of input '{name}' is '{type}'; expected one of {string.Join(", ", DataType.Names)}.");
        if (model.Input(name) is not { } spec)
            throw new InvalidRequestException($"unexpected inference input '{name}' for model '{model.Name}', expected "
                + string.Join(", ", model.Inputs.Select(i => $"'{i.Name}'")));
        var index = model.InputIndex(name);
        if (request.Inputs[index] is not null)
            throw RequestJson.DuplicateInput(name);
        if (binarySize is not null && data is not null)
            throw new InvalidRequestException(
                $"Input '{name}' has both 'data' and 'binary_data_size'; expected one of them.");
        if (binarySize is null && data is null)
            throw new InvalidRequestException($"input '{name}' has no data: must specify 'data', or 'Inference-Header-"
                + "Content-Length' in request header and 'binary_data_size' when passing inputs in binary data format");
        var count = TensorValues.Count(name, shape);
        spec.Check(model.Name, type, shape);
        if (binarySize is { } size)
        {
            var elements = ReadBinary(name, dataType, count, size);
            request.Inputs[index] = new InputTensor(name, dataType, shape, count, default, elements);
            return;
        }

        // Each element needs at least two bytes of text. The check prevents a large allocation for a shape without
        // data.
        if (count > data!.Value.Length)
            throw new InvalidRequestException(
                $"input '{name}': data has too few elements, expected {count} for shape {TensorSpec.Text(shape)}");
        request.Inputs[index] = new InputTensor(name, dataType, shape, count, data.Value, default);
    }

    private ReadOnlySequence<byte> ReadBinary(string name, DataType type, long count, long size)
    {
        if (size < 0 || size > binary.Length)
            throw new InvalidRequestException(
                $"unexpected size for input '{name}', expecting {Math.Max(0, size - binary.Length)} additional bytes "
                + $"for model '{model.Name}': binary_data_size is {size}, and {binary.Length} bytes of binary data "
                + "are left");
        if (!type.IsBytes && size != count * type.Size) throw WrongSize(name, type, count, size);
        if (type.IsBytes && count > size)
            throw new InvalidRequestException(
                $"binary_data_size of input '{name}' is '{size}'; expected at least {count} for {count} elements of "
                + "BYTES.");
        var elements = binary.Slice(0, size);
        binary = binary.Slice(size);
        return elements;
    }

    internal static InvalidRequestException WrongSize(string name, DataType type, long count, long size) => new(
        $"binary_data_size of input '{name}' is '{size}'; expected {count * type.Size} "
        + $"({count} elements of {type.Name}).");

    private void ReadOutput()
    {
        reader.Expect(JsonTokenType.StartObject, "outputs", "an object");
        string? name = null;
        bool? asBinary = null;
        var classes = 0;
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            if (reader.ValueTextEquals("name"u8)) name = reader.ReadString("outputs.name");
            else if (reader.ValueTextEquals("parameters"u8)) (asBinary, classes) = ReadOutputParameters(name);
            else reader.Skip();
        }

        if (name is null) throw new InvalidRequestException("Unable to parse 'outputs': an output has no 'name'");
        if (request.Outputs.Any(o => o.Name == name))
            throw new InvalidRequestException($"Output '{name}' is requested twice; expected each output once.");
        request.Outputs.Add(new WantedOutput(name, asBinary, classes));
    }

    private long? ReadBinarySize(string? input)
    {
        long? size = null;
        reader.ReadObject("inputs.parameters");
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            RejectSharedMemory("Input", input, "Send its data in the request, as JSON or as binary data.");
            if (!reader.ValueTextEquals("binary_data_size"u8))
            {
                reader.Skip();
                continue;
            }

            if (!reader.Read() || reader.TokenType != JsonTokenType.Number || !reader.TryGetInt64(out var value))
                throw new InvalidRequestException("'binary_data_size' must be a whole number of bytes.");
            size = value;
        }

        return size;
    }

    /// <summary>
    /// Rejects the parameters of shared memory. If they were ignored, a client that requests its output in shared
    /// memory would read the previous content of that memory.
    /// </summary>
    private void RejectSharedMemory(string kind, string? tensor, string action)
    {
        if (!reader.ValueTextEquals("shared_memory_region"u8) && !reader.ValueTextEquals("shared_memory_byte_size"u8)
            && !reader.ValueTextEquals("shared_memory_offset"u8)) return;
        throw new InvalidRequestException(
            $"{kind} '{tensor}' has the parameter '{reader.GetString()}'; shared memory is not supported. {action}");
    }

    private (bool? Binary, int Classes) ReadOutputParameters(string? output)
    {
        (bool? Binary, int Classes) read = (null, 0);
        reader.ReadObject("outputs.parameters");
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            RejectSharedMemory(
                "Output",
                output,
                "Remove the parameter: the response contains the output, as JSON or as binary data.");
            if (reader.ValueTextEquals("binary_data"u8))
                read.Binary = reader.ReadBool("binary_data");
            else if (reader.ValueTextEquals("classification"u8))
                read.Classes = (int)reader.ReadNumber("classification", 1, int.MaxValue);
            else
                reader.Skip();
        }

        return read;
    }

    private long[] ReadShape(string? input)
    {
        reader.ReadList($"shape of input '{input}'");
        Span<long> shape = stackalloc long[MaxRank];
        var rank = 0;
        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
        {
            if (reader.TokenType != JsonTokenType.Number || !reader.TryGetInt64(out var dimension))
                throw new InvalidRequestException($"The shape of input '{input}' must be a list of whole numbers.");
            if (rank == MaxRank)
                throw new InvalidRequestException(
                    $"The shape of input '{input}' has more than {MaxRank} dimensions; expected at most {MaxRank}.");
            shape[rank++] = dimension;
        }

        return shape[..rank].ToArray();
    }

    private const int MaxRank = 32;

    /// <summary>
    /// Reads a name. For a known input, returns the model's own string, to avoid an allocation for each request.
    /// </summary>
    private string ReadInputName()
    {
        reader.ReadText("inputs.name");
        foreach (var name in model.InputNames)
            if (reader.ValueTextEquals(name)) return name;
        return reader.GetString()!;
    }

    private string ReadDataType()
    {
        reader.ReadText("inputs.datatype");
        foreach (var input in model.Inputs)
            if (reader.ValueTextEquals(input.Type.Name)) return input.Type.Name;
        return reader.GetString()!;
    }
}
