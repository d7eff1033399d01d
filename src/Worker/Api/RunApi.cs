using System.Buffers;
using System.Buffers.Binary;
using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Sluice.Worker.Batching;
using Sluice.Worker.Configuration;
using Sluice.Worker.Generation;
using Sluice.Worker.Http;
using Sluice.Worker.Requests;
using Sluice.Worker.Serving;
using Sluice.Worker.Telemetry;
using Sluice.Worker.Tensors;
using Sluice.Worker.Tracing;

namespace Sluice.Worker.Api;

/// <summary>
/// Handles jobs: <c>{"input": {...}}</c>. The input is an inference request (<c>inputs</c>) or a generation
/// (<c>text_input</c>). <c>input.model</c> names the model; it is required if the worker serves several models.
/// An inference returns <c>{"output": ...}</c>. A generation returns one event for each token and the whole text as
/// <c>event: output</c>, if the caller accepts <c>text/event-stream</c> and <c>input.stream</c> is not false, or if
/// <c>input.stream</c> is true.
/// </summary>
internal sealed class RunApi(ModelHost host, WorkerSettings settings, GenerateApi generate, Tracer tracer)
{
    /// <summary>Response header with the execution provider that ran the job.</summary>
    public const string ProviderHeader = "X-Sluice-Provider";

    /// <summary>Keys of <c>input</c> that belong to the job and not to the generation.</summary>
    private static readonly string[] Keys = ["model", "stream"];

    public void Map(Router routes) => routes.MapPost("/run", RunAsync);

    private async Task RunAsync(HttpContext context)
    {
        LoadedModel model;
        GenerationRequest request;
        bool isStream;
        // The body is not needed any more when the generation waits.
        using (var bytes = await RequestBody.ReadAsync(context, settings.MaxBodyBytes))
        {
            using var body = bytes.Parse();
            var input = ReadInput(body.RootElement);
            model = FindModel(input);
            context.Response.Headers[ProviderHeader] = model.Provider;
            isStream = IsStream(context.Request, input);
            if (!input.TryGetProperty("text_input", out _))
            {
                await RespondAsync(context, json => InferAsync(context, model, input, json));
                return;
            }

            request = ReadGeneration(context, body.RootElement, input);
        }

        if (isStream) await generate.StreamAsync(context, model, request, whole: true);
        else await RespondAsync(context, json => GenerateAsync(context, model, request, json));
    }

    private static JsonElement ReadInput(JsonElement job)
    {
        if (job.ValueKind != JsonValueKind.Object
            || !job.TryGetProperty("input", out var input) || input.ValueKind != JsonValueKind.Object)
            throw new InvalidRequestException("The job must be a JSON object with an object 'input'.");
        return input;
    }

    /// <summary>Sends <c>{"output": ...}</c>, after the callback has written the output.</summary>
    private static async Task RespondAsync(HttpContext context, Func<Utf8JsonWriter, Task> write)
    {
        var output = new ArrayBufferWriter<byte>();
        using (var writer = new Utf8JsonWriter(output))
        {
            writer.WriteStartObject();
            writer.WritePropertyName("output");
            await write(writer);
            writer.WriteEndObject();
        }

        context.Response.ContentType = "application/json";
        await context.Response.BodyWriter.WriteAsync(output.WrittenMemory, context.RequestAborted);
    }

    private LoadedModel FindModel(JsonElement input)
    {
        if (input.TryGetProperty("model", out var named))
            return named.ValueKind == JsonValueKind.String
                ? host.Repository.Find(named.GetString()!, null)
                : throw new InvalidRequestException("'input.model' must be a string.");
        if (host.Repository.Names.Count == 1) return host.Repository.All.First();
        throw new InvalidRequestException(
            $"'input.model' is missing; expected one of {string.Join(", ", host.Repository.Names)}.");
    }

    /// <summary>
    /// Whether a generation is streamed. The default follows the Accept header, because RunPod's clients have no
    /// field that requests a stream: they read <c>/stream/{id}</c> of any job.
    /// </summary>
    private static bool IsStream(HttpRequest request, JsonElement input) =>
        (input.TryGetProperty("stream", out var stream) ? stream.ValueKind : JsonValueKind.Null) switch
        {
            JsonValueKind.True => true,
            JsonValueKind.False => false,
            JsonValueKind.Null => request.GetTypedHeaders().Accept.Any(a => a.MediaType == "text/event-stream"),
            _ => throw GenerationParameters.InvalidValue("input.stream", stream, "true or false"),
        };

    /// <summary>
    /// Reads the parameters of a generation. The default seed is a hash of the job's id, so that a retried job
    /// generates the same text.
    /// </summary>
    private static GenerationRequest ReadGeneration(HttpContext context, JsonElement job, JsonElement input) =>
        GenerationRequest.Read(input, Keys,
            job.TryGetProperty("id", out var id) && id.ValueKind == JsonValueKind.String
                ? Seed(id)
                : (ulong)Random.Shared.NextInt64()) with
        {
            Scope = GenerateApi.ScopeOf(context),
        };

    private static ulong Seed(JsonElement id) =>
        BinaryPrimitives.ReadUInt64LittleEndian(SHA256.HashData(Encoding.UTF8.GetBytes(id.GetRawText()))) >> 1;

    private async Task GenerateAsync(
        HttpContext context,
        LoadedModel model,
        GenerationRequest request,
        Utf8JsonWriter writer)
    {
        var body = await generate.RunAsync(context, model, request);
        JsonSerializer.Serialize(writer, body, WorkerJson.Default.GenerateBody);
    }

    private async Task InferAsync(HttpContext context, LoadedModel model, JsonElement input, Utf8JsonWriter writer)
    {
        if (!input.TryGetProperty("inputs", out _))
            throw new InvalidRequestException(
                "'input' has neither 'inputs' (an inference) nor 'text_input' (a generation); expected one of them.");
        using var trace = tracer.StartTrace(model.Name, model.Version);
        // The raw bytes are used, because serializing the element fails for half a surrogate pair.
        var text = JsonMarshal.GetRawUtf8Value(input).ToArray();
        var request = InferRequestReader.Read(model, text, ReadOnlySequence<byte>.Empty);
        if (trace is not null) trace.RequestId = request.Id;
        request.Span = WorkerSpans.Find(context);
        using var inference = await model.Scheduler.RunAsync(request, context.RequestAborted);
        InferenceSpans.Add(request.Span, inference, model.Name);
        trace?.AddRun(inference);
        var started = Stopwatch.GetTimestamp();
        InferencePipeline.SetTiming(context, inference);
        var outputs = InferResponse.Outputs(model, request, inference, settings.MaxOutputBytes);
        InferResponse.WriteJson(writer, model, request, Array.ConvertAll(outputs, o => (o.Tensor, false)));
        model.Statistics.RecordSuccess(inference, Stopwatch.GetElapsedTime(started));
        trace?.Reached("COMPUTE_END");
    }
}
