using Microsoft.AspNetCore.Http;
using Sluice.Worker.Http;
using Sluice.Worker.Serving;
using Sluice.Worker.Tracing;

namespace Sluice.Worker.Api;

/// <summary>
/// Implements Triton's trace extension: reads and changes the trace settings of all models or of one.
/// </summary>
internal sealed class TraceApi(ModelHost host, Tracer tracer)
{
    public void Map(Router routes)
    {
        foreach (var path in new[] { "/v2/trace/setting", "/v2/models/{model}/trace/setting" })
        {
            routes.MapGet(path, c => WriteSettingsAsync(c, ModelName(c)));
            routes.MapPost(path, ChangeAsync);
        }
    }

    private async Task ChangeAsync(HttpContext context)
    {
        using var fields = await SettingFields.ReadAsync(context);
        var model = ModelName(context);
        tracer.Change(model, fields.RootElement);
        await WriteSettingsAsync(context, model);
    }

    private Task WriteSettingsAsync(HttpContext context, string? model) =>
        JsonResponses.WriteAsync(context, json => tracer.Write(json, model));

    private string? ModelName(HttpContext context) =>
        context.Request.RouteValues["model"] is null ? null : OpenInferenceApi.FindModel(context, host).Name;
}
