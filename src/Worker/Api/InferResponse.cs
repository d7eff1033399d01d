using System.Buffers;
using System.Globalization;
using System.IO.Compression;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Sluice.Worker.Batching;
using Sluice.Worker.Http;
using Sluice.Worker.Models;
using Sluice.Worker.Requests;
using Sluice.Worker.Tensors;

namespace Sluice.Worker.Api;

/// <summary>
/// Writes the response to an inference: tensors as JSON numbers, or as binary data after the JSON document.
/// </summary>
internal static class InferResponse
{
    /// <summary>The JSON writer is flushed when this many bytes are pending.</summary>
    private const int FlushAfter = 64 << 10;

    /// <summary>Minimum size in bytes of a compressed response. A smaller response fits one packet.</summary>
    private const int MinCompressed = 1400;

    /// <summary>Returns the requested outputs in the requested order, or all outputs if none was requested.</summary>
    /// <param name="model">The model.</param>
    /// <param name="request">The request.</param>
    /// <param name="inference">The result of the model run.</param>
    /// <param name="limit">
    /// Maximum size of all outputs together, in bytes. The limit is needed because a few bytes of input can cause a
    /// model to pad or repeat without limit.
    /// </param>
    /// <exception cref="InvalidRequestException">The outputs are larger than the limit.</exception>
    public static (OutputTensor Tensor, bool Binary)[] Outputs(
        OnnxModel model,
        InferRequest request,
        Inference inference,
        long limit)
    {
        var outputs = SelectOutputs(model, request, inference);
        var bytes = Bytes(outputs, onlyBinary: false);
        return bytes <= limit
            ? outputs
            : throw new InvalidRequestException(
                $"The size of the outputs is '{bytes}' bytes; expected at most {limit} (SLUICE_MAX_OUTPUT_BYTES). "
                + "Request fewer outputs, or split the request.");
    }

    private static (OutputTensor Tensor, bool Binary)[] SelectOutputs(
        OnnxModel model,
        InferRequest request,
        Inference inference)
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
            if (classes > 0) tensor = Classification.Classify(tensor, classes, model);
            wanted[i] = (tensor, binary ?? request.BinaryOutput);
        }

        return wanted;
    }

    /// <summary>Writes the response, compressed if the client accepts gzip or deflate.</summary>
    public static async Task WriteAsync(
        HttpContext context,
        OnnxModel model,
        InferRequest request,
        (OutputTensor Tensor, bool Binary)[] outputs)
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
        // The header contains the length of the JSON document before compression.
        if (binary > 0)
            response.Headers["Inference-Header-Content-Length"] = json.Length.ToString(CultureInfo.InvariantCulture);
        if (compressed is not null && json.Length + binary >= MinCompressed)
        {
            await WriteCompressedAsync(context, compressed, json, outputs);
            return;
        }

        response.ContentLength = json.Length + binary;
        // Over HTTP/1.1, Kestrel's body writer has no buffer before the response has started.
        await response.StartAsync(context.RequestAborted);
        response.BodyWriter.Write(json.Span);
        foreach (var (tensor, asBinary) in outputs)
            if (asBinary) BinaryTensors.Write(response.BodyWriter, tensor);
        await response.BodyWriter.FlushAsync(context.RequestAborted);
    }

    /// <summary>Writes the JSON document. A binary output has its size instead of its data.</summary>
    public static void WriteJson(
        Utf8JsonWriter writer,
        OnnxModel model,
        InferRequest request,
        (OutputTensor Tensor, bool Binary)[] outputs)
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

    /// <summary>
    /// Returns the first supported encoding in the client's Accept-Encoding header; null if there is none.
    /// </summary>
    private static string? Compression(HttpContext context)
    {
        if (context.Request.Headers.AcceptEncoding.Count == 0) return null;
        foreach (var accepted in context.Request.GetTypedHeaders().AcceptEncoding)
            if (accepted.Quality is not 0 && accepted.Value.Value is "gzip" or "deflate") return accepted.Value.Value;
        return null;
    }

    private static long Bytes((OutputTensor Tensor, bool Binary)[] outputs, bool onlyBinary)
    {
        long bytes = 0;
        foreach (var (tensor, binary) in outputs)
            if (binary || !onlyBinary) bytes += tensor.BinarySize;
        return bytes;
    }

    private static async Task WriteCompressedAsync(
        HttpContext context,
        string encoding,
        ReadOnlyMemory<byte> json,
        (OutputTensor Tensor, bool Binary)[] outputs)
    {
        context.Response.Headers.ContentEncoding = encoding;
        var plain = new ArrayBufferWriter<byte>();
        foreach (var (tensor, binary) in outputs)
            if (binary) BinaryTensors.Write(plain, tensor);
        await using Stream stream = encoding == "gzip"
            ? new GZipStream(context.Response.Body, CompressionLevel.Fastest, leaveOpen: true)
            : new ZLibStream(context.Response.Body, CompressionLevel.Fastest, leaveOpen: true);
        await stream.WriteAsync(json, context.RequestAborted);
        await stream.WriteAsync(plain.WrittenMemory, context.RequestAborted);
    }
}
