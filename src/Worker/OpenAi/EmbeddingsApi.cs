using System.Runtime.InteropServices;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Sluice.Worker.Api;
using Sluice.Worker.Batching;
using Sluice.Worker.Configuration;
using Sluice.Worker.Embeddings;
using Sluice.Worker.Generation;
using Sluice.Worker.Http;
using Sluice.Worker.Logging;
using Sluice.Worker.Serving;
using Sluice.Worker.Telemetry;
using Sluice.Worker.Tensors;

namespace Sluice.Worker.OpenAi;

/// <summary>Implements <c>/v1/embeddings</c>: a vector for each text.</summary>
internal sealed class EmbeddingsApi(ModelHost host, WorkerSettings settings, WorkerLog log, UsageReports usage)
{
    private const int MaxInputs = 2048;

    public void Map(Router routes) => routes.MapPost("/v1/embeddings", HandleAsync);

    private async Task HandleAsync(HttpContext context)
    {
        using var report = usage.Start(context);
        try
        {
            using var bytes = await RequestBody.ReadAsync(context, settings.MaxBodyBytes);
            using var body = bytes.Parse();
            if (body.RootElement.ValueKind != JsonValueKind.Object)
                throw new OpenAiException("The request must be a JSON object.");
            await RespondAsync(context, new RequestFields(body.RootElement), report);
        }
        catch (Exception e) when (!context.RequestAborted.IsCancellationRequested && !context.Response.HasStarted)
        {
            await TextApi.SendErrorAsync(context, ErrorObject.From(e, log, RequestIds.Find(context)));
        }
    }

    private async Task RespondAsync(HttpContext context, RequestFields fields, UsageReport report)
    {
        var model = TextApi.FindModel(host, fields.RequiredText("model"));
        using var hold = model.AcquireReference();
        var embedder = EmbedderOf(model);
        var isBase64 = fields.Text("encoding_format") switch
        {
            null or "float" => false,
            "base64" => true,
            var other => throw new OpenAiException(
                $"'encoding_format' is '{other}'; expected float or base64.", "encoding_format"),
        };
        if (fields.Integer("dimensions", 1, int.MaxValue) is { } dimensions && dimensions != embedder.Dimensions)
            throw new OpenAiException(
                $"'dimensions' is '{dimensions}'; expected {embedder.Dimensions}, the size of the model's vectors.",
                "dimensions");
        var input = ReadInput(fields, embedder.VocabularySize);
        if (embedder.Waiting >= settings.Batching.MaxQueue)
            throw InvalidRequestException.QueueFull(
                $"{embedder.Waiting} texts wait already; expected fewer than {settings.Batching.MaxQueue} "
                + "(SLUICE_MAX_QUEUE). Retry later.");
        var count = new GenerationCount(model.Statistics);
        using var span = GenerationSpan.Start(context, model.Name);
        try
        {
            var embeddings = input.Tokens is { } tokens
                ? await embedder.EmbedAsync(tokens, context.RequestAborted)
                : await embedder.EmbedAsync(input.Texts, context.RequestAborted);
            report.Usage = new GenerationUsage(embeddings.Tokens.Sum(), 0, 0);
            report.SetHeader(context);
            span?.SetUsage(report.Usage);
            await JsonResponses.WriteAsync(context, json => Write(json, model.Name, embeddings, isBase64));
            count.RecordSuccess();
        }
        catch (Exception e)
        {
            count.RecordFailure(e is OperationCanceledException);
            span?.Fail(e);
            throw;
        }
    }

    private static TextEmbedder EmbedderOf(LoadedModel model)
    {
        try
        {
            return model.Embedder ?? throw new OpenAiException(
                $"The model '{model.Name}' makes no embeddings: it is not an encoder with tokenizer.json.",
                "model", 400, "model_not_supported");
        }
        catch (Exception e) when (e is NotSupportedException or InvalidDataException)
        {
            throw new OpenAiException(
                $"The model '{model.Name}' makes no embeddings: {e.Message}", "model", 400, "model_not_supported");
        }
    }

    /// <summary>Reads the texts, or the tokens that some clients make of them (LangChain does).</summary>
    private static (List<string> Texts, List<int[]>? Tokens) ReadInput(RequestFields fields, int vocabulary)
    {
        const string forms = "a string, a list of 1 to 2048 strings, or lists of tokens";
        if (fields.Find("input") is not { } value)
            throw new OpenAiException($"'input' is missing; expected {forms}.", "input");
        var isTokens = value.ValueKind == JsonValueKind.Array && value.GetArrayLength() > 0
            && value[0].ValueKind == JsonValueKind.Number;
        var list = value.ValueKind == JsonValueKind.Array && !isTokens ? [.. value.EnumerateArray()] : new[] { value };
        if (list.Length is 0 or > MaxInputs) throw fields.Invalid("input", value, forms);
        if (list.All(t => t.ValueKind == JsonValueKind.String)) return ([.. list.Select(t => t.GetString()!)], null);
        return list.All(IsTokens)
            ? ([], [.. list.Select(t => t.EnumerateArray().Select(n => n.GetInt32()).ToArray())])
            : throw fields.Invalid("input", value, $"{forms} from 0 to {vocabulary - 1}");

        bool IsTokens(JsonElement element) => element.ValueKind == JsonValueKind.Array && element.GetArrayLength() > 0
            && element.EnumerateArray().All(n => n.ValueKind == JsonValueKind.Number
                && n.TryGetInt32(out var token) && token >= 0 && token < vocabulary);
    }

    private static void Write(Utf8JsonWriter json, string model, TextEmbeddings embeddings, bool isBase64)
    {
        json.WriteStartObject();
        json.WriteString("object", "list");
        json.WriteStartArray("data");
        for (var i = 0; i < embeddings.Vectors.Length; i++)
        {
            json.WriteStartObject();
            json.WriteString("object", "embedding");
            json.WriteNumber("index", i);
            // Clients ask for base64 if the caller says nothing: little-endian 32-bit numbers.
            if (isBase64) json.WriteBase64String("embedding", MemoryMarshal.AsBytes<float>(embeddings.Vectors[i]));
            else
            {
                json.WriteStartArray("embedding");
                foreach (var number in embeddings.Vectors[i]) json.WriteNumberValue(number);
                json.WriteEndArray();
            }

            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteString("model", model);
        json.WriteStartObject("usage");
        json.WriteNumber("prompt_tokens", embeddings.Tokens.Sum());
        json.WriteNumber("total_tokens", embeddings.Tokens.Sum());
        json.WriteEndObject();
        json.WriteEndObject();
    }
}
