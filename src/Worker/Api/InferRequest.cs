using System.Buffers;
using System.Text.Json;
using Microsoft.ML.OnnxRuntime;
using Sluice.Worker.Models;
using Sluice.Worker.Runtime;

namespace Sluice.Worker.Api;

/// <summary>An output that a client asks for.</summary>
/// <param name="Name">Of the model's outputs.</param>
/// <param name="Binary">As binary data; null: as the request says for all.</param>
public sealed record WantedOutput(string Name, bool? Binary);

/// <summary>A parsed inference request; owns its tensors.</summary>
public sealed class InferRequest : IDisposable
{
    public string? Id { get; set; }

    public Dictionary<string, OrtValue> Inputs { get; } = [];

    public List<WantedOutput> Outputs { get; } = [];

    /// <summary>What <c>binary_data_output</c> says for outputs that say nothing.</summary>
    public bool BinaryOutput { get; set; }

    public void Dispose()
    {
        foreach (var value in Inputs.Values) value.Dispose();
    }
}

/// <summary>
/// Reads an inference request of the Open Inference Protocol: JSON, with the binary tensors behind it where the binary
/// extension is used. The document is walked once; a tensor's numbers are parsed where they stand.
/// </summary>
public ref struct InferRequestReader
{
    private readonly LoadedModel model;
    private readonly ReadOnlySequence<byte> json;
    private readonly InferRequest request;
    private Utf8JsonReader reader;
    private ReadOnlySequence<byte> binary;

    private InferRequestReader(LoadedModel model, ReadOnlySequence<byte> json, ReadOnlySequence<byte> binary,
        InferRequest request)
    {
        (this.model, this.json, this.binary, this.request) = (model, json, binary, request);
        reader = new Utf8JsonReader(json, new JsonReaderOptions { MaxDepth = 100 });
    }

    /// <summary>Parses a request; throws <see cref="InvalidRequestException"/> saying what is wrong.</summary>
    /// <param name="model">The model that it must fit.</param>
    /// <param name="json">The JSON document.</param>
    /// <param name="binary">What follows it.</param>
    public static InferRequest Read(LoadedModel model, ReadOnlySequence<byte> json, ReadOnlySequence<byte> binary)
    {
        var request = new InferRequest();
        try
        {
            new InferRequestReader(model, json, binary, request).ReadDocument();
            return request;
        }
        catch (JsonException e)
        {
            request.Dispose();
            throw new InvalidRequestException($"failed to parse the request JSON at line {e.LineNumber + 1}, byte "
                + $"{e.BytePositionInLine + 1}: {e.Message.Split(" LineNumber")[0]}");
        }
        catch (InvalidOperationException e) when (e.InnerException is System.Text.DecoderFallbackException)
        {
            request.Dispose();
            throw new InvalidRequestException("the request JSON has text that is not valid UTF-8");
        }
        catch
        {
            request.Dispose();
            throw;
        }
    }

    /// <summary>A raw binary request: the body is the model's only input.</summary>
    public static InferRequest ReadRaw(LoadedModel model, ReadOnlySequence<byte> body)
    {
        if (model.Inputs.Count != 1)
            throw new InvalidRequestException("Raw request must only have 1 input (found 1) to be deduced but got "
                + $"{model.Inputs.Count} inputs in '{model.Name}' model");
        var spec = model.Inputs[0];
        var request = new InferRequest { BinaryOutput = true };
        try
        {
            var shape = RawShape(spec, body.Length);
            var value = TensorValues.Allocate(spec.Type, shape);
            request.Inputs[spec.Name] = value;
            if (spec.Type.IsBytes) value.StringTensorSetElementAt(body.ToArray(), 0);
            else BinaryTensors.Read(body, value, spec.Name, spec.Type, TensorValues.Count(spec.Name, shape));
            return request;
        }
        catch
        {
            request.Dispose();
            throw;
        }
    }

    private static long[] RawShape(TensorSpec spec, long bytes)
    {
        // The batch dimension of a raw request is 1; one more may be deduced from the size.
        var shape = spec.Shape.ToArray();
        if (shape.Length > 1 && shape[0] < 0) shape[0] = 1;
        var variable = shape.Count(d => d < 0);
        if (spec.Type.IsBytes)
        {
            if (shape.Length == 1 && shape[0] is 1 or -1) return [1];
            throw new InvalidRequestException(
                $"For BYTE datatype raw input '{spec.Name}', the model must have input shape [1]");
        }

        if (variable > 1)
            throw new InvalidRequestException($"The shape of the raw input '{spec.Name}' can not be deduced because "
                + "there are more than one variable-sized dimension");
        if (variable == 0) return shape;
        var known = shape.Where(d => d >= 0).Aggregate((long)spec.Type.Size, (a, d) => a * d);
        if (known == 0 || bytes % known != 0)
            throw new InvalidRequestException($"input '{spec.Name}': {bytes} bytes came, expected a multiple of {known} "
                + $"for shape {spec.ShapeText} of {spec.Type.Name}");
        shape[Array.FindIndex(shape, d => d < 0)] = bytes / known;
        return shape;
    }

    private void ReadDocument()
    {
        if (!reader.Read() || reader.TokenType != JsonTokenType.StartObject)
            throw new InvalidRequestException("the request body must be a JSON object");
        var hasInputs = false;
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            if (reader.ValueTextEquals("inputs"u8))
            {
                hasInputs = true;
                ReadList("inputs");
                while (reader.Read() && reader.TokenType != JsonTokenType.EndArray) ReadInput();
            }
            else if (reader.ValueTextEquals("outputs"u8))
            {
                ReadList("outputs");
                while (reader.Read() && reader.TokenType != JsonTokenType.EndArray) ReadOutput();
            }
            else if (reader.ValueTextEquals("id"u8))
            {
                request.Id = ReadString("id");
            }
            else if (reader.ValueTextEquals("parameters"u8))
            {
                ReadRequestParameters();
            }
            else
            {
                reader.Skip();
            }
        }

        if (!hasInputs) throw new InvalidRequestException("Unable to parse 'inputs': attempt to access non-existing object member 'inputs'");
        if (reader.Read()) throw new InvalidRequestException("the request body goes on after its JSON object");
        if (binary.Length > 0)
            throw new InvalidRequestException($"unexpected additional input data for model '{model.Name}': "
                + $"{binary.Length} bytes are left after the binary inputs");
        CheckComplete();
    }

    private void CheckComplete()
    {
        var given = request.Inputs;
        if (given.Count != model.Inputs.Count)
            throw new InvalidRequestException($"expected {model.Inputs.Count} inputs but got {given.Count} inputs for "
                + $"model '{model.Name}'; missing: {string.Join(", ", model.Inputs.Where(i => !given.ContainsKey(i.Name)).Select(i => $"'{i.Name}'"))}");
        foreach (var output in request.Outputs)
            if (model.Output(output.Name) is null)
                throw new InvalidRequestException($"unexpected inference output '{output.Name}' for model "
                    + $"'{model.Name}', expected some of {string.Join(", ", model.Outputs.Select(o => $"'{o.Name}'"))}");
    }

    private void ReadInput()
    {
        Expect(JsonTokenType.StartObject, "inputs", "an object");
        string? name = null, type = null;
        long[]? shape = null;
        long? binarySize = null;
        Utf8JsonReader data = default;
        var hasData = false;
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            if (reader.ValueTextEquals("name"u8)) name = ReadString("inputs.name");
            else if (reader.ValueTextEquals("datatype"u8)) type = ReadString("inputs.datatype");
            else if (reader.ValueTextEquals("shape"u8)) shape = ReadShape(name);
            else if (reader.ValueTextEquals("parameters"u8)) binarySize = ReadBinarySize();
            else if (reader.ValueTextEquals("data"u8))
            {
                if (!reader.Read()) throw new JsonException();
                hasData = true;
                // Name, type and shape may stand behind the data: it is parsed when all are known.
                data = reader;
                reader.Skip();
            }
            else reader.Skip();
        }

        AddInput(name, type, shape, binarySize, hasData, data);
    }

    private void AddInput(string? name, string? type, long[]? shape, long? binarySize, bool hasData, Utf8JsonReader data)
    {
        if (name is null) throw new InvalidRequestException("Unable to parse 'inputs': an input has no 'name'");
        if (type is null) throw new InvalidRequestException($"input '{name}' has no 'datatype'");
        if (shape is null) throw new InvalidRequestException($"input '{name}' has no 'shape'");
        if (DataType.Named(type) is not { } dataType)
            throw new InvalidRequestException(
                $"input '{name}': datatype is '{type}', expected one of {string.Join(", ", DataType.Names)}");
        if (model.Input(name) is not { } spec)
            throw new InvalidRequestException($"unexpected inference input '{name}' for model '{model.Name}', expected "
                + string.Join(", ", model.Inputs.Select(i => $"'{i.Name}'")));
        if (request.Inputs.ContainsKey(name))
            throw new InvalidRequestException($"input '{name}' is given twice");
        if (binarySize is not null && hasData)
            throw new InvalidRequestException($"input '{name}' has both 'data' and 'binary_data_size', expected one");
        if (binarySize is null && !hasData)
            throw new InvalidRequestException($"input '{name}' has no data: must specify 'data', or 'Inference-Header-"
                + "Content-Length' in request header and 'binary_data_size' when passing inputs in binary data format");
        var count = TensorValues.Count(name, shape);
        spec.Check(model.Name, type, shape);
        if (binarySize is { } size) AddBinary(name, dataType, shape, count, size);
        else AddJson(name, dataType, shape, count, data);
    }

    private void AddJson(string name, DataType type, long[] shape, long count, Utf8JsonReader data)
    {
        // An element takes two bytes of text at least: a shape that promises more must not get the memory.
        if (count > json.Length)
            throw new InvalidRequestException(
                $"input '{name}': data has too few elements, expected {count} for shape {TensorSpec.Text(shape)}");
        var value = TensorValues.Allocate(type, shape);
        request.Inputs[name] = value;
        JsonTensors.Read(ref data, value, name, type, shape);
    }

    private void AddBinary(string name, DataType type, long[] shape, long count, long size)
    {
        if (size < 0 || size > binary.Length)
            throw new InvalidRequestException($"unexpected size for input '{name}': binary_data_size is {size}, but "
                + $"{binary.Length} bytes of binary data are left for model '{model.Name}'");
        if (!type.IsBytes && size != count * type.Size)
            throw new InvalidRequestException($"input '{name}': binary_data_size is {size}, expected "
                + $"{count * type.Size} ({count} elements of {type.Name})");
        if (type.IsBytes && count > size)
            throw new InvalidRequestException(
                $"input '{name}': binary_data_size is {size}, too small for {count} elements of BYTES");
        var value = TensorValues.Allocate(type, shape);
        request.Inputs[name] = value;
        BinaryTensors.Read(binary.Slice(0, size), value, name, type, count);
        binary = binary.Slice(size);
    }

    private void ReadOutput()
    {
        Expect(JsonTokenType.StartObject, "outputs", "an object");
        string? name = null;
        bool? asBinary = null;
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            if (reader.ValueTextEquals("name"u8)) name = ReadString("outputs.name");
            else if (reader.ValueTextEquals("parameters"u8)) asBinary = ReadBinaryFlag();
            else reader.Skip();
        }

        if (name is null) throw new InvalidRequestException("Unable to parse 'outputs': an output has no 'name'");
        if (request.Outputs.Any(o => o.Name == name))
            throw new InvalidRequestException($"output '{name}' is asked for twice");
        request.Outputs.Add(new WantedOutput(name, asBinary));
    }

    private long? ReadBinarySize()
    {
        long? size = null;
        ReadObject("inputs.parameters");
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            if (!reader.ValueTextEquals("binary_data_size"u8))
            {
                reader.Skip();
                continue;
            }

            if (!reader.Read() || reader.TokenType != JsonTokenType.Number || !reader.TryGetInt64(out var value))
                throw new InvalidRequestException("'binary_data_size' must be a whole number of bytes");
            size = value;
        }

        return size;
    }

    private bool? ReadBinaryFlag()
    {
        bool? flag = null;
        ReadObject("outputs.parameters");
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            if (reader.ValueTextEquals("binary_data"u8)) flag = ReadBool("binary_data");
            else if (reader.ValueTextEquals("classification"u8))
                throw new InvalidRequestException("output parameter 'classification' is not supported");
            else reader.Skip();
        }

        return flag;
    }

    private void ReadRequestParameters()
    {
        ReadObject("parameters");
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            if (reader.ValueTextEquals("binary_data_output"u8))
                request.BinaryOutput = ReadBool("binary_data_output");
            else reader.Skip();
        }
    }

    private long[] ReadShape(string? input)
    {
        ReadList($"shape of input '{input}'");
        var shape = new List<long>();
        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
        {
            if (reader.TokenType != JsonTokenType.Number || !reader.TryGetInt64(out var dimension))
                throw new InvalidRequestException($"shape of input '{input}' must be a list of whole numbers");
            if (shape.Count == MaxRank)
                throw new InvalidRequestException($"shape of input '{input}' has more than {MaxRank} dimensions");
            shape.Add(dimension);
        }

        return [.. shape];
    }

    private const int MaxRank = 32;

    private string ReadString(string field)
    {
        if (!reader.Read()) throw new JsonException();
        Expect(JsonTokenType.String, field, "a string");
        return reader.GetString()!;
    }

    private bool ReadBool(string field)
    {
        if (!reader.Read()) throw new JsonException();
        if (reader.TokenType is not (JsonTokenType.True or JsonTokenType.False))
            throw new InvalidRequestException($"'{field}' must be true or false");
        return reader.GetBoolean();
    }

    private void ReadList(string field)
    {
        if (!reader.Read()) throw new JsonException();
        Expect(JsonTokenType.StartArray, field, "a list");
    }

    private void ReadObject(string field)
    {
        if (!reader.Read()) throw new JsonException();
        Expect(JsonTokenType.StartObject, field, "an object");
    }

    private readonly void Expect(JsonTokenType token, string field, string wanted)
    {
        if (reader.TokenType != token)
            throw new InvalidRequestException($"Unable to parse '{field}': it is {reader.TokenType}, expected {wanted}");
    }
}
