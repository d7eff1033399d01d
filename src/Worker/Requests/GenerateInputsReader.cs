using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Sluice.Worker.Http;
using Sluice.Worker.Models;
using Sluice.Worker.Tensors;

namespace Sluice.Worker.Requests;

/// <summary>
/// Reads a generate request (Triton's extension) for a model that does not generate text. A key with the name of an
/// input contains the input's elements: one value or a flat list. Any other key is a request parameter. The same rule
/// applies to the keys of <c>parameters</c>. The shape is the model's; variable dimensions are computed from the
/// number of elements.
/// </summary>
public ref struct GenerateInputsReader
{
    private readonly OnnxModel model;
    private readonly ReadOnlyMemory<byte> json;
    private readonly InferRequest request;
    private readonly long limit;
    private Utf8JsonReader reader;
    private int offset;
    private long bytes;

    private GenerateInputsReader(OnnxModel model, ReadOnlyMemory<byte> json, InferRequest request, long limit)
    {
        this.model = model;
        this.json = json;
        this.request = request;
        this.limit = limit;
        reader = new Utf8JsonReader(json.Span, RequestJson.Options);
    }

    /// <summary>Parses a request.</summary>
    /// <param name="model">The model that defines the inputs.</param>
    /// <param name="json">The JSON document.</param>
    /// <param name="limit">Maximum size of all tensors together, in bytes.</param>
    /// <exception cref="InvalidRequestException">The request is invalid; the message contains the reason.</exception>
    public static InferRequest Read(OnnxModel model, ReadOnlyMemory<byte> json, long limit)
    {
        var request = new InferRequest(model) { Json = json };
        try
        {
            new GenerateInputsReader(model, json, request, limit).ReadDocument();
            return request;
        }
        catch (Exception e) when (
            e is JsonException or InvalidOperationException { InnerException: DecoderFallbackException })
        {
            throw request.Explain(e);
        }
    }

    internal static InferRequest Read(HttpContext context, OnnxModel model, RequestBody body, long limit) =>
        Read(model, body.Split(context).Json, limit);

    /// <summary>
    /// Computes the shape of an input by Triton's rule: the number of elements is divided by the fixed dimensions, the
    /// innermost variable dimension gets the quotient, and all other variable dimensions are 1.
    /// </summary>
    /// <returns>The shape, or null if the number of elements cannot be divided without a remainder.</returns>
    public static long[]? Shape(TensorSpec spec, long elements)
    {
        var shape = spec.Shape.ToArray();
        var left = elements;
        foreach (var dimension in shape)
        {
            if (dimension < 0) continue;
            if (dimension == 0 ? left != 0 : left % dimension != 0) return null;
            left = dimension == 0 ? 1 : left / dimension;
        }

        for (var i = shape.Length - 1; i >= 0; i--)
            if (shape[i] < 0) (shape[i], left) = (left, 1);
        return left == 1 ? shape : null;
    }

    private void ReadDocument()
    {
        if (!reader.Read() || reader.TokenType != JsonTokenType.StartObject)
            throw RequestJson.NotAnObject();
        ReadKeys(top: true);
        if (reader.Read()) throw RequestJson.TrailingData();
        if (Array.IndexOf(request.Inputs, null) is var missing and >= 0)
        {
            var inputs = string.Join(", ", model.Inputs.Select(i => $"'{i.Name}' ({i.Type.Name} {i.ShapeText})"));
            throw new InvalidRequestException(
                $"unexpected key not found in generate request, expecting key '{model.InputNames[missing]}': "
                + $"the inputs of model '{model.Name}' are {inputs}");
        }

        request.ComputeBatchShare();
    }

    private void ReadKeys(bool top)
    {
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            if (FindInput() is var at and >= 0) ReadInput(at);
            else if (top && reader.ValueTextEquals("id"u8)) request.Id = reader.ReadString("id");
            else if (top && reader.ValueTextEquals("parameters"u8))
            {
                reader.ReadObject("parameters");
                ReadKeys(top: false);
            }
            else if (top && reader.ValueTextEquals("input"u8)) ReadInputParameter();
            else RequestParameters.ReadOne(ref reader, request, model.Name);
        }
    }

    /// <summary>
    /// Reads the key <c>input</c>. A scalar is an unused request parameter. An object means that the body is a job.
    /// </summary>
    private void ReadInputParameter()
    {
        if (!reader.Read()) throw new JsonException();
        if (reader.TokenType == JsonTokenType.StartObject)
            throw new InvalidRequestException(RequestJson.JobHint);
        if (reader.TokenType == JsonTokenType.StartArray) throw RequestParameters.WrongType("input");
    }

    private int FindInput()
    {
        for (var i = 0; i < model.InputNames.Length; i++)
            if (reader.ValueTextEquals(model.InputNames[i])) return i;
        return -1;
    }

    private void ReadInput(int at)
    {
        var spec = model.Inputs[at];
        if (request.Inputs[at] is not null) throw RequestJson.DuplicateInput(spec.Name);
        var data = reader.SkipValue(json, ref offset);
        var elements = 1L;
        if (data.Span[0] == '[') elements = Count(spec.Name, data.Span);
        else if (data.Span[0] == '{') throw NotFlat(spec.Name);
        else data = (byte[])[(byte)'[', .. data.Span, (byte)']'];
        var shape = Shape(spec, elements) ?? throw new InvalidRequestException(
            $"The schema can not convert input '{spec.Name}' to tensor with proper shape: "
            + $"it has {elements} elements, and shape {spec.ShapeText} in model '{model.Name}'");
        bytes += elements * spec.Type.Size;
        if (bytes > limit)
            throw new InvalidRequestException(
                $"request size of {bytes} bytes with input '{spec.Name}' exceeds the maximum allowed input size of "
                + $"{limit} bytes. Use SLUICE_MAX_BODY_BYTES to increase the limit.");
        request.Inputs[at] = new InputTensor(spec.Name, spec.Type, shape, elements, data, default);
    }

    /// <summary>
    /// Counts the elements of a list. In a list of numbers only the commas are counted, because this is faster than
    /// parsing. An invalid number is reported when the tensor is read.
    /// </summary>
    private static long Count(string name, ReadOnlySpan<byte> list)
    {
        if (NumberList.FindEnd(list, 0) > 0)
        {
            var inside = list[1..^1].Trim(" \t\r\n"u8);
            if (inside.Contains((byte)'[')) throw NotFlat(name);
            return inside.IsEmpty ? 0 : inside.Count((byte)',') + 1;
        }

        var reader = new Utf8JsonReader(list, RequestJson.Options);
        reader.Read();
        var count = 0L;
        for (; reader.Read() && reader.TokenType != JsonTokenType.EndArray; count++)
            if (reader.TokenType is JsonTokenType.StartArray or JsonTokenType.StartObject) throw NotFlat(name);
        return count;
    }

    private static InvalidRequestException NotFlat(string name) =>
        new($"Input '{name}' must be a value or a flat list of values.");
}
