using System.Buffers;
using System.Globalization;
using System.IO.Pipelines;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Microsoft.ML.OnnxRuntime;
using Sluice.Worker.Models;
using Sluice.Worker.Runtime;

namespace Sluice.Worker.Api;

/// <summary>Writes an inference's answer: tensors as JSON numbers, or as binary data behind the JSON.</summary>
internal static class InferResponse
{
    /// <summary>JSON is sent on once this much of it is written.</summary>
    private const int FlushAfter = 64 << 10;

    /// <summary>The outputs that were asked for, in that order; all of them when none was named.</summary>
    public static IReadOnlyList<(TensorSpec Spec, bool Binary)> Wanted(LoadedModel model, InferRequest request) =>
        request.Outputs.Count == 0
            ? [.. model.Outputs.Select(o => (o, request.BinaryOutput))]
            : [.. request.Outputs.Select(o => (model.Output(o.Name)!, o.Binary ?? request.BinaryOutput))];

    public static async Task WriteAsync(HttpContext context, LoadedModel model, InferRequest request,
        IReadOnlyList<(TensorSpec Spec, bool Binary)> wanted, IReadOnlyList<OrtValue> values)
    {
        var response = context.Response;
        if (!wanted.Any(w => w.Binary))
        {
            response.ContentType = "application/json";
            using var writer = new Utf8JsonWriter((IBufferWriter<byte>)response.BodyWriter, WriterOptions);
            WriteJson(writer, model, request, wanted, values);
            writer.Flush();
            await response.BodyWriter.FlushAsync(context.RequestAborted);
            return;
        }

        var json = new ArrayBufferWriter<byte>(1024);
        using (var writer = new Utf8JsonWriter(json, WriterOptions)) WriteJson(writer, model, request, wanted, values);
        var binary = wanted.Select((w, i) => w.Binary ? BinaryTensors.SizeOf(values[i], w.Spec.Type) : 0).Sum();
        response.ContentType = "application/octet-stream";
        response.Headers["Inference-Header-Content-Length"] = json.WrittenCount.ToString(CultureInfo.InvariantCulture);
        response.ContentLength = json.WrittenCount + binary;
        response.BodyWriter.Write(json.WrittenSpan);
        for (var i = 0; i < wanted.Count; i++)
            if (wanted[i].Binary)
            {
                BinaryTensors.Write(response.BodyWriter, values[i], wanted[i].Spec.Type);
                await response.BodyWriter.FlushAsync(context.RequestAborted);
            }
    }

    /// <summary>The JSON answer; binary outputs have their size in place of their data.</summary>
    public static void WriteJson(Utf8JsonWriter writer, LoadedModel model, InferRequest request,
        IReadOnlyList<(TensorSpec Spec, bool Binary)> wanted, IReadOnlyList<OrtValue> values)
    {
        writer.WriteStartObject();
        writer.WriteString("model_name"u8, model.Name);
        writer.WriteString("model_version"u8, model.Version);
        if (request.Id is { } id) writer.WriteString("id"u8, id);
        writer.WriteStartArray("outputs"u8);
        for (var i = 0; i < wanted.Count; i++)
        {
            var (spec, binary) = wanted[i];
            writer.WriteStartObject();
            writer.WriteString("name"u8, spec.Name);
            writer.WriteString("datatype"u8, spec.Type.Name);
            writer.WriteStartArray("shape"u8);
            foreach (var dimension in values[i].GetTensorTypeAndShape().Shape) writer.WriteNumberValue(dimension);
            writer.WriteEndArray();
            if (binary)
            {
                writer.WriteStartObject("parameters"u8);
                writer.WriteNumber("binary_data_size"u8, BinaryTensors.SizeOf(values[i], spec.Type));
                writer.WriteEndObject();
            }
            else
            {
                writer.WritePropertyName("data"u8);
                JsonTensors.Write(writer, values[i], spec.Type);
            }

            writer.WriteEndObject();
            if (writer.BytesPending > FlushAfter) writer.Flush();
        }

        writer.WriteEndArray();
        writer.WriteEndObject();
    }

    // What we write is well-formed by construction, and raw values are our own numbers.
    private static readonly JsonWriterOptions WriterOptions = new() { SkipValidation = true };
}
