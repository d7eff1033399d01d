using System.Buffers;
using System.Globalization;
using System.IO.Compression;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Sluice.Worker.Batching;
using Sluice.Worker.Models;
using Sluice.Worker.Runtime;

namespace Sluice.Worker.Api;

/// <summary>Writes an inference's answer: tensors as JSON numbers, or as binary data behind the JSON.</summary>
internal static class InferResponse
{
    /// <summary>JSON is sent on once this much of it is written.</summary>
    private const int FlushAfter = 64 << 10;

    /// <summary>Answers with less are sent as they are: they fit a packet.</summary>
    private const int MinCompressed = 1400;

    /// <summary>The outputs that were asked for, in that order; all of them when none was named.</summary>
    /// <param name="model">The model.</param>
    /// <param name="request">What was asked for.</param>
    /// <param name="inference">What it gave.</param>
    /// <param name="limit">Bytes of all of them: a few bytes of input can make a model pad or repeat without end.</param>
    public static (OutputTensor Tensor, bool Binary)[] Outputs(LoadedModel model, InferRequest request, Inference inference, long limit)
    {
        var outputs = Outputs(model, request, inference);
        return Bytes(outputs, onlyBinary: false) is var bytes && bytes <= limit ? outputs : throw new InvalidRequestException(
            $"the outputs have {bytes} bytes, more than {limit} (SLUICE_MAX_OUTPUT_BYTES): ask for fewer of them, or for less in one request");
    }

    private static (OutputTensor Tensor, bool Binary)[] Outputs(LoadedModel model, InferRequest request, Inference inference)
    {
        if (request.Outputs.Count == 0)
        {
            var all = new (OutputTensor, bool)[model.Outputs.Count];
            for (var i = 0; i < all.Length; i++) all[i] = (inference.Output(model.Outputs[i]), request.BinaryOutput);
            return all;
        }

        var wanted = new (OutputTensor, bool)[request.Outputs.Count];
        for (var i = 0; i < wanted.Length; i++)
        {
            var (name, binary, classes) = request.Outputs[i];
            var tensor = inference.Output(model.Output(name)!);
            wanted[i] = (classes > 0 ? Classification.Of(tensor, classes, model) : tensor, binary ?? request.BinaryOutput);
        }

        return wanted;
    }

    public static async Task WriteAsync(HttpContext context, LoadedModel model, InferRequest request, (OutputTensor Tensor, bool Binary)[] outputs)
    {
        var response = context.Response;
        var compressed = Compression(context);
        if (compressed is null && !Array.Exists(outputs, o => o.Binary))
        {
            response.ContentType = "application/json";
            using var writer = new Utf8JsonWriter((IBufferWriter<byte>)response.BodyWriter, JsonBuffer.Options);
            WriteJson(writer, model, request, outputs);
            writer.Flush();
            await response.BodyWriter.FlushAsync(context.RequestAborted);
            return;
        }

        using var head = JsonBuffer.Rent();
        WriteJson(head.Writer, model, request, outputs);
        await head.Writer.FlushAsync(context.RequestAborted);
        var json = head.Written;
        var binary = Bytes(outputs, onlyBinary: true);
        response.ContentType = binary > 0 ? "application/octet-stream" : "application/json";
        // It counts the JSON as it is before it is compressed.
        if (binary > 0) response.Headers["Inference-Header-Content-Length"] = json.Length.ToString(CultureInfo.InvariantCulture);
        if (compressed is not null && json.Length + binary >= MinCompressed)
        {
            await WriteCompressedAsync(context, compressed, json, outputs);
            return;
        }

        response.ContentLength = json.Length + binary;
        // Over HTTP/1.1 Kestrel has no memory to write to before that.
        await response.StartAsync(context.RequestAborted);
        response.BodyWriter.Write(json.Span);
        foreach (var (tensor, asBinary) in outputs)
            if (asBinary) BinaryTensors.Write(response.BodyWriter, tensor);
        await response.BodyWriter.FlushAsync(context.RequestAborted);
    }

    /// <summary>The JSON answer; binary outputs have their size in place of their data.</summary>
    public static void WriteJson(Utf8JsonWriter writer, LoadedModel model, InferRequest request, (OutputTensor Tensor, bool Binary)[] outputs)
    {
        var bare = request.HasBareNumbers;
        writer.WriteStartObject();
        writer.WriteString("model_name"u8, model.Name);
        writer.WriteString("model_version"u8, model.Version);
        if (request.Id is { } id) writer.WriteString("id"u8, id);
        writer.WriteStartArray("outputs"u8);
        foreach (var (tensor, binary) in outputs)
        {
            writer.WriteStartObject();
            writer.WriteString("name"u8, tensor.Spec.Name);
            writer.WriteString("datatype"u8, tensor.Type.Name);
            writer.WriteStartArray("shape"u8);
            foreach (var dimension in tensor.Shape) writer.WriteNumberValue(dimension);
            writer.WriteEndArray();
            if (binary)
            {
                writer.WriteStartObject("parameters"u8);
                writer.WriteNumber("binary_data_size"u8, tensor.BinarySize);
                writer.WriteEndObject();
            }
            else
            {
                writer.WritePropertyName("data"u8);
                JsonTensors.Write(writer, tensor, bare);
            }

            writer.WriteEndObject();
            if (writer.BytesPending > FlushAfter) writer.Flush();
        }

        writer.WriteEndArray();
        writer.WriteEndObject();
    }

    /// <summary>The first of what the client takes and we have; null: none.</summary>
    private static string? Compression(HttpContext context)
    {
        if (context.Request.Headers.AcceptEncoding.Count == 0) return null;
        foreach (var wish in context.Request.GetTypedHeaders().AcceptEncoding)
            if (wish.Quality is not 0 && wish.Value.Value is "gzip" or "deflate") return wish.Value.Value;
        return null;
    }

    private static long Bytes((OutputTensor Tensor, bool Binary)[] outputs, bool onlyBinary)
    {
        long bytes = 0;
        foreach (var (tensor, binary) in outputs)
            if (binary || !onlyBinary) bytes += tensor.BinarySize;
        return bytes;
    }

    private static async Task WriteCompressedAsync(HttpContext context, string encoding, ReadOnlyMemory<byte> json,
        (OutputTensor Tensor, bool Binary)[] outputs)
    {
        context.Response.Headers.ContentEncoding = encoding;
        var plain = new ArrayBufferWriter<byte>();
        foreach (var (tensor, binary) in outputs)
            if (binary) BinaryTensors.Write(plain, tensor);
        await using Stream stream = encoding == "gzip" ? new GZipStream(context.Response.Body, CompressionLevel.Fastest, leaveOpen: true)
            : new ZLibStream(context.Response.Body, CompressionLevel.Fastest, leaveOpen: true);
        await stream.WriteAsync(json, context.RequestAborted);
        await stream.WriteAsync(plain.WrittenMemory, context.RequestAborted);
    }
}
