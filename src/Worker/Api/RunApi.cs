using System.Buffers;
using System.Buffers.Binary;
using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Sluice.Worker.Generation;
using Sluice.Worker.Models;
using Sluice.Worker.Runtime;
using Sluice.Worker.Tracing;

namespace Sluice.Worker.Api;

/// <summary>
/// A job's handler: <c>{"input": {...}}</c> where the input is an inference request (<c>inputs</c>) or a generation
/// (<c>text_input</c>), for the model that <c>input.model</c> names where several are served. An inference returns
/// <c>{"output": ...}</c>. A generation returns one event for each token and the whole text as <c>event: output</c>, if the caller accepts
/// <c>text/event-stream</c> and <c>input.stream</c> is not false, or if <c>input.stream</c> is true.
/// </summary>
internal sealed class RunApi(ModelHost host, WorkerSettings settings, GenerateApi generate, Tracer tracer)
{
    /// <summary>What ran the job.</summary>
    public const string ProviderHeader = "X-Sluice-Provider";

    /// <summary>Of an input: the job's own, not its generation's.</summary>
    private static readonly string[] Keys = ["model", "stream"];

    public void Map(Router routes) => routes.MapPost("/run", RunAsync);

    private async Task RunAsync(HttpContext context)
    {
        using var bytes = await RequestBody.ReadAsync(context, settings.MaxBodyBytes);
        using var body = bytes.Parse();
        if (body.RootElement.ValueKind != JsonValueKind.Object
            || !body.RootElement.TryGetProperty("input", out var input) || input.ValueKind != JsonValueKind.Object)
            throw new InvalidRequestException("the job must be an object with an object 'input'");
        var model = Model(input);
        context.Response.Headers[ProviderHeader] = model.Provider;
        if (Streams(context.Request, input) && input.TryGetProperty("text_input", out _))
        {
            await generate.StreamAsync(context, model, Generation(body.RootElement, input), whole: true);
            return;
        }

        var output = new ArrayBufferWriter<byte>();
        using (var writer = new Utf8JsonWriter(output))
        {
            writer.WriteStartObject();
            writer.WritePropertyName("output");
            if (input.TryGetProperty("text_input", out _)) await GenerateAsync(context, model, Generation(body.RootElement, input), writer);
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

    /// <summary>RunPod's clients have no field that asks for a stream: they read <c>/stream/{id}</c> of any job. So a generation streams by default.</summary>
    private static bool Streams(HttpRequest request, JsonElement input) =>
        (input.TryGetProperty("stream", out var stream) ? stream.ValueKind : JsonValueKind.Null) switch
        {
            JsonValueKind.True => true,
            JsonValueKind.False => false,
            JsonValueKind.Null => request.GetTypedHeaders().Accept.Any(a => a.MediaType == "text/event-stream"),
            _ => throw GenerationParameters.Wrong("input.stream", stream, "true or false"),
        };

    /// <summary>Where no seed is given it is made of the job's id: a second attempt then says what the first one said.</summary>
    private static GenerationRequest Generation(JsonElement job, JsonElement input) =>
        job.TryGetProperty("id", out var id) && id.ValueKind == JsonValueKind.String
            ? GenerationRequest.Read(input, Keys, BinaryPrimitives.ReadUInt64LittleEndian(SHA256.HashData(Encoding.UTF8.GetBytes(id.GetRawText()))) >> 1)
            : GenerationRequest.Read(input, Keys, (ulong)Random.Shared.NextInt64());

    private async Task GenerateAsync(HttpContext context, LoadedModel model, GenerationRequest request, Utf8JsonWriter writer)
    {
        JsonSerializer.Serialize(writer, await generate.RunAsync(context, model, request), WorkerJson.Default.GenerateBody);
    }

    private async Task InferAsync(HttpContext context, LoadedModel model, JsonElement input, Utf8JsonWriter writer)
    {
        using var trace = tracer.Begin(model.Name, model.Version);
        // As it came: writing it anew would stumble over half a surrogate pair.
        var text = JsonMarshal.GetRawUtf8Value(input).ToArray();
        var request = InferRequestReader.Read(model, text, ReadOnlySequence<byte>.Empty);
        if (trace is not null) trace.RequestId = request.Id;
        using var inference = await model.Scheduler.RunAsync(request, context.RequestAborted);
        trace?.Ran(inference);
        var started = Stopwatch.GetTimestamp();
        Inferences.Tell(context, inference);
        InferResponse.WriteJson(writer, model, request,
            Array.ConvertAll(InferResponse.Outputs(model, request, inference, settings.MaxOutputBytes), o => (o.Tensor, false)));
        model.Statistics.Answered(inference, Stopwatch.GetElapsedTime(started));
        trace?.Reached("COMPUTE_END");
    }
}
