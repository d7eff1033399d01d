using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Sluice.Worker.Models;
using Sluice.Worker.Runtime;

namespace Sluice.Worker.Api;

/// <summary>
/// Reads a generate request (Triton's extension) for a model that makes no text: a key that is an input's name has its elements, one value or a
/// list of them, and any other is a request parameter; so too in <c>parameters</c>. The shape is the model's, and what varies in it follows from
/// the number of elements.
/// </summary>
public ref struct GenerateInputsReader
{
    private readonly LoadedModel model;
    private readonly ReadOnlyMemory<byte> json;
    private readonly InferRequest request;
    private readonly long limit;
    private Utf8JsonReader reader;
    private int offset;
    private long bytes;

    private GenerateInputsReader(LoadedModel model, ReadOnlyMemory<byte> json, InferRequest request, long limit)
    {
        (this.model, this.json, this.request, this.limit) = (model, json, request, limit);
        reader = new Utf8JsonReader(json.Span, InferRequestReader.Options);
    }

    /// <summary>Parses a request; throws <see cref="InvalidRequestException"/> saying what is wrong.</summary>
    /// <param name="model">The model that it must fit.</param>
    /// <param name="json">The JSON document.</param>
    /// <param name="limit">Bytes of all tensors.</param>
    public static InferRequest Read(LoadedModel model, ReadOnlyMemory<byte> json, long limit)
    {
        var request = new InferRequest(model) { Json = json };
        try
        {
            new GenerateInputsReader(model, json, request, limit).ReadDocument();
            return request;
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException { InnerException: DecoderFallbackException })
        {
            throw request.Explain(e);
        }
    }

    internal static InferRequest Read(HttpContext context, LoadedModel model, RequestBody body, long limit) =>
        Read(model, body.Split(context).Json, limit);

    /// <summary>Triton's rule: fixed dimensions divide the elements, the innermost that varies takes what is left, and others are 1. Null: that does not
    /// come out even.</summary>
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
            throw new InvalidRequestException("the request body must be a JSON object");
        ReadKeys(top: true);
        if (reader.Read()) throw new InvalidRequestException("the request body goes on after its JSON object");
        if (Array.IndexOf(request.Inputs, null) is var missing and >= 0)
            throw new InvalidRequestException($"unexpected key not found in generate request, expecting key '{model.InputNames[missing]}': model '{model.Name}' "
                + $"takes {string.Join(", ", model.Inputs.Select(i => $"'{i.Name}' ({i.Type.Name} {i.ShapeText})"))}");
        request.Settle();
    }

    private void ReadKeys(bool top)
    {
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            if (Input() is var at and >= 0) ReadInput(at);
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

    /// <summary>A parameter of this name means nothing; an object is a job.</summary>
    private void ReadInputParameter()
    {
        if (!reader.Read()) throw new JsonException();
        if (reader.TokenType == JsonTokenType.StartObject) throw new InvalidRequestException(InferRequestReader.JobHint);
        if (reader.TokenType == JsonTokenType.StartArray) throw RequestParameters.Wrong("input");
    }

    private int Input()
    {
        for (var i = 0; i < model.InputNames.Length; i++)
            if (reader.ValueTextEquals(model.InputNames[i])) return i;
        return -1;
    }

    private void ReadInput(int at)
    {
        var spec = model.Inputs[at];
        if (request.Inputs[at] is not null) throw new InvalidRequestException($"input '{spec.Name}' is given twice");
        var data = reader.SkipValue(json, ref offset);
        var elements = 1L;
        if (data.Span[0] == '[') elements = Count(spec.Name, data.Span);
        else if (data.Span[0] == '{') throw NoList(spec.Name);
        else data = (byte[])[(byte)'[', .. data.Span, (byte)']'];
        var shape = Shape(spec, elements) ?? throw new InvalidRequestException($"The schema can not convert input '{spec.Name}' to tensor with proper shape: "
            + $"it has {elements} elements, and shape {spec.ShapeText} in model '{model.Name}'");
        bytes += elements * spec.Type.Size;
        if (bytes > limit)
            throw new InvalidRequestException($"request size of {bytes} bytes with input '{spec.Name}' exceeds the maximum allowed input size of {limit} bytes. "
                + "Use SLUICE_MAX_BODY_BYTES to increase the limit.");
        request.Inputs[at] = new InputTensor(spec.Name, spec.Type, shape, elements, data, default);
    }

    /// <summary>Elements of a list. One of numbers is not walked for that: it has one more than it has commas, and what is no number is found when it
    /// is read.</summary>
    private static long Count(string name, ReadOnlySpan<byte> list)
    {
        if (NumberList.FindEnd(list, 0) > 0)
        {
            var inside = list[1..^1].Trim(" \t\r\n"u8);
            if (inside.Contains((byte)'[')) throw NoList(name);
            return inside.IsEmpty ? 0 : inside.Count((byte)',') + 1;
        }

        var reader = new Utf8JsonReader(list, InferRequestReader.Options);
        reader.Read();
        var count = 0L;
        for (; reader.Read() && reader.TokenType != JsonTokenType.EndArray; count++)
            if (reader.TokenType is JsonTokenType.StartArray or JsonTokenType.StartObject) throw NoList(name);
        return count;
    }

    private static InvalidRequestException NoList(string name) => new($"input '{name}' must be a value or a list of values, not nested");
}
