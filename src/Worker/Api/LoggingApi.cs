using Microsoft.AspNetCore.Http;
using Sluice.Worker.Http;
using Sluice.Worker.Logging;

namespace Sluice.Worker.Api;

/// <summary>Implements Triton's logging extension: reads and changes the log settings of the running worker.</summary>
internal sealed class LoggingApi(WorkerLog log)
{
    public void Map(Router routes)
    {
        routes.MapGet("/v2/logging", c => JsonResponses.WriteAsync(c, log.Settings.Write));
        routes.MapPost("/v2/logging", ChangeAsync);
    }

    private async Task ChangeAsync(HttpContext context)
    {
        using var fields = await SettingFields.ReadAsync(context);
        await JsonResponses.WriteAsync(context, log.Change(now => now.With(fields.RootElement)).Write);
    }
}
