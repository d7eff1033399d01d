using System.Buffers;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Sluice.Worker.Batching;
using Sluice.Worker.Models;
using Sluice.Worker.Runtime;

namespace Sluice.Worker.Api;

/// <summary>Answers a generate request to a model that makes no text: each output by its name, flat, and by itself where it is one element.</summary>
internal static class GenerateOutputs
{
    /// <summary>Ours: an output of such a name is left out, as Triton does.</summary>
    private static readonly string[] Reserved = ["id", "model_name", "model_version"];

    public static async Task WriteAsync(HttpContext context, LoadedModel model, InferRequest request, (OutputTensor Tensor, bool Binary)[] outputs)
    {
        context.Response.ContentType = "application/json";
        Write(context, model, request, outputs);
        await context.Response.BodyWriter.FlushAsync(context.RequestAborted);
    }

    /// <summary>A stream of one event.</summary>
    public static async Task StreamAsync(HttpContext context, LoadedModel model, InferRequest request, (OutputTensor Tensor, bool Binary)[] outputs)
    {
        GenerateApi.BeginEvents(context);
        // Over HTTP/1.1 Kestrel has no memory to write to before that.
        await context.Response.StartAsync(context.RequestAborted);
        context.Response.BodyWriter.Write("data: "u8);
        Write(context, model, request, outputs);
        context.Response.BodyWriter.Write("\n\n"u8);
        await context.Response.BodyWriter.FlushAsync(context.RequestAborted);
    }

    private static void Write(HttpContext context, LoadedModel model, InferRequest request, (OutputTensor Tensor, bool Binary)[] outputs)
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
