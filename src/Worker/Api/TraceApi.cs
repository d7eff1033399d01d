using Microsoft.AspNetCore.Http;
using Sluice.Worker.Models;
using Sluice.Worker.Tracing;

namespace Sluice.Worker.Api;

/// <summary>Triton's trace extension: which requests are traced, for all models and for one.</summary>
internal sealed class TraceApi(ModelHost host, Tracer tracer)
{
    public void Map(Router routes)
    {
        foreach (var path in new[] { "/v2/trace/setting", "/v2/models/{model}/trace/setting" })
        {
            routes.MapGet(path, c => TellAsync(c, Model(c)));
            routes.MapPost(path, ChangeAsync);
        }
    }

    private async Task ChangeAsync(HttpContext context)
    {
        using var fields = await SettingFields.ReadAsync(context);
        var model = Model(context);
        tracer.Change(model, fields.RootElement);
        await TellAsync(context, model);
    }

    private Task TellAsync(HttpContext context, string? model) => Answers.WriteAsync(context, json => tracer.Write(json, model));

    private string? Model(HttpContext context) => context.Request.RouteValues["model"] is null ? null : OpenInferenceApi.Model(context, host).Name;
}
