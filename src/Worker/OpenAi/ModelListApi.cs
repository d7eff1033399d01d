using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Sluice.Worker.Http;
using Sluice.Worker.Logging;
using Sluice.Worker.Serving;

namespace Sluice.Worker.OpenAi;

/// <summary>Implements <c>/v1/models</c>: the models that the OpenAI API can use.</summary>
internal sealed class ModelListApi(ModelHost host, WorkerLog log)
{
    public void Map(Router routes)
    {
        routes.MapGet("/v1/models", ListAsync);
        routes.MapGet("/v1/models/{model}", GetAsync);
    }

    private Task ListAsync(HttpContext context) => JsonResponses.WriteAsync(context, json =>
    {
        json.WriteStartObject();
        json.WriteString("object", "list");
        json.WriteStartArray("data");
        foreach (var model in host.Repository.All.Where(m => m.Generator is not null || m.IsEmbedder)
            .DistinctBy(m => m.Name))
            Write(json, model);
        json.WriteEndArray();
        json.WriteEndObject();
    });

    private async Task GetAsync(HttpContext context)
    {
        try
        {
            var model = TextApi.FindModel(host, (string)context.Request.RouteValues["model"]!);
            await JsonResponses.WriteAsync(context, json => Write(json, model));
        }
        catch (OpenAiException e)
        {
            await TextApi.SendErrorAsync(context, ErrorObject.From(e, log, RequestIds.Find(context)));
        }
    }

    private static void Write(Utf8JsonWriter json, LoadedModel model)
    {
        json.WriteStartObject();
        json.WriteString("id", model.Name);
        json.WriteString("object", "model");
        json.WriteNumber("created",
            new DateTimeOffset(File.GetLastWriteTimeUtc(model.Path), TimeSpan.Zero).ToUnixTimeSeconds());
        json.WriteString("owned_by", "sluice");
        if (model.Generator is { } generator) json.WriteNumber("max_model_len", generator.Context);
        json.WriteEndObject();
    }
}
