using System.Buffers;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Sluice.Worker.Generation;
using Sluice.Worker.Models;
using Sluice.Worker.Runtime;

namespace Sluice.Worker.Api;

/// <summary>
/// A job's handler: <c>{"input": {...}}</c> where the input is an inference request (<c>inputs</c>) or a generation
/// (<c>text_input</c>), for the model that <c>input.model</c> names where several are served. Answers
/// <c>{"output": ...}</c>.
/// </summary>
internal sealed class RunApi(ModelHost host, WorkerSettings settings, OpenInferenceApi inference, GenerateApi generation)
{
    public void Map(Router routes) => routes.MapPost("/run", RunAsync);

    private async Task RunAsync(HttpContext context)
    {
        using var body = await RequestBody.ReadJsonAsync(context, settings.MaxBodyBytes);
        if (body.RootElement.ValueKind != JsonValueKind.Object
            || !body.RootElement.TryGetProperty("input", out var input) || input.ValueKind != JsonValueKind.Object)
            throw new InvalidRequestException("the job must be an object with an object 'input'");
        var model = Model(input);
        var output = new ArrayBufferWriter<byte>();
        using (var writer = new Utf8JsonWriter(output))
        {
            writer.WriteStartObject();
            writer.WritePropertyName("output");
            if (input.TryGetProperty("text_input", out _)) await GenerateAsync(context, model, input, writer);
            else if (input.TryGetProperty("inputs", out _)) await InferAsync(context, model, input, writer);
            else throw new InvalidRequestException("input has neither 'inputs' (an inference) nor 'text_input' (a generation)");
            writer.WriteEndObject();
        }

        context.Response.ContentType = "application/json";
        await context.Response.BodyWriter.WriteAsync(output.WrittenMemory, context.RequestAborted);
    }

    private LoadedModel Model(JsonElement input)
    {
        if (input.TryGetProperty("model", out var named))
            return named.ValueKind == JsonValueKind.String ? host.Repository.Find(named.GetString()!, null)
                : throw new InvalidRequestException("input.model must be a string");
        if (host.Repository.Names.Count == 1) return host.Repository.All.First();
        throw new InvalidRequestException(
            $"input.model is missing, expected one of {string.Join(", ", host.Repository.Names)}");
    }

    private async Task GenerateAsync(HttpContext context, LoadedModel model, JsonElement input, Utf8JsonWriter writer)
    {
        var request = GenerationRequest.Read(input);
        JsonSerializer.Serialize(writer, await generation.RunAsync(context, model, request), WorkerJson.Default.GenerateBody);
    }

    private async Task InferAsync(HttpContext context, LoadedModel model, JsonElement input, Utf8JsonWriter writer)
    {
        var text = JsonSerializer.SerializeToUtf8Bytes(input, WorkerJson.Default.JsonElement);
        using var request = InferRequestReader.Read(model, new ReadOnlySequence<byte>(text), ReadOnlySequence<byte>.Empty);
        request.BinaryOutput = false;
        IReadOnlyList<(TensorSpec, bool)> wanted =
            [.. InferResponse.Wanted(model, request).Select(w => (w.Spec, false))];
        using var results = await inference.RunAsync(context, model, request, wanted);
        InferResponse.WriteJson(writer, model, request, wanted, results.Values);
    }
}
