using System.Buffers;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Sluice.Worker.Http;
using Sluice.Worker.Models;
using Sluice.Worker.Requests;
using Sluice.Worker.Tensors;

namespace Sluice.Worker.Api;

/// <summary>
/// Writes the response to a generate request for a model that does not generate text: each output is a key with a flat
/// list, or with a single value if the output has one element.
/// </summary>
internal static class GenerateOutputs
{
    /// <summary>
    /// Keys that the response itself uses. An output with one of these names is omitted, as in Triton.
    /// </summary>
    private static readonly string[] Reserved = ["id", "model_name", "model_version"];

    /// <summary>Writes the response as one JSON object.</summary>
    public static async Task WriteAsync(
        HttpContext context,
        OnnxModel model,
        InferRequest request,
        (OutputTensor Tensor, bool Binary)[] outputs)
    {
        context.Response.ContentType = "application/json";
        Write(context, model, request, outputs);
        await context.Response.BodyWriter.FlushAsync(context.RequestAborted);
    }

    /// <summary>Writes the response as a stream of one server-sent event.</summary>
    public static async Task StreamAsync(
        HttpContext context,
        OnnxModel model,
        InferRequest request,
        (OutputTensor Tensor, bool Binary)[] outputs)
    {
        GenerateApi.SetEventStreamHeaders(context);
        // Over HTTP/1.1, Kestrel's body writer has no buffer before the response has started.
        await context.Response.StartAsync(context.RequestAborted);
        context.Response.BodyWriter.Write("data: "u8);
        Write(context, model, request, outputs);
        context.Response.BodyWriter.Write("\n\n"u8);
        await context.Response.BodyWriter.FlushAsync(context.RequestAborted);
    }

    private static void Write(
        HttpContext context,
        OnnxModel model,
        InferRequest request,
        (OutputTensor Tensor, bool Binary)[] outputs)
    {
        using var writer = new Utf8JsonWriter((IBufferWriter<byte>)context.Response.BodyWriter, JsonBuffer.Options);
        var bare = request.HasBareNumbers;
        writer.WriteStartObject();
        if (request.Id is { } id) writer.WriteString("id"u8, id);
        writer.WriteString("model_name"u8, model.Name);
        writer.WriteString("model_version"u8, model.Version);
        foreach (var (tensor, _) in outputs)
        {
            if (Reserved.Contains(tensor.Spec.Name)) continue;
            writer.WritePropertyName(tensor.Spec.Name);
            if (tensor.Count == 1) JsonTensors.WriteElements(writer, tensor, bare);
            else JsonTensors.Write(writer, tensor, bare);
        }

        writer.WriteEndObject();
    }
}
