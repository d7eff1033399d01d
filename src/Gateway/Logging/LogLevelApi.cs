using System.Text.Json.Nodes;
using Sluice.Domain.Declarations;
using Sluice.Domain.Notation;
using Sluice.Gateway.Audit;
using Sluice.Gateway.Authentication;
using Sluice.Gateway.Http;
using Sluice.Storage.Logging;

namespace Sluice.Gateway.Logging;

/// <summary><c>/api/v1/log-level</c>: the log levels of all gateways, while they run.</summary>
public sealed class LogLevelApi(
    LogLevelStore store, LogLevelSwitch levels, LogLevelWatcher watcher, TimeProvider time)
{
    private const string Route = "/api/v1/log-level";

    /// <summary>The longest time. Redis and clients can represent its end.</summary>
    private static readonly TimeSpan MaxFor = TimeSpan.FromDays(30);

    /// <summary>Maps the routes.</summary>
    public void Map(IEndpointRouteBuilder routes)
    {
        routes.MapRoute("GET", Route, AccessLevel.Read, "Get the log levels of the gateways",
            (HttpContext context) => AnswerAsync(context)).Produces<LogLevelView>();
        routes.MapRoute("PUT", Route, AccessLevel.Admin,
            "Set the log levels of all gateways, within a second and without a restart", PutAsync)
            .AcceptsJson<LogLevelRequest>().Produces<LogLevelView>();
        routes.MapRoute("DELETE", Route, AccessLevel.Admin, "Return to the log levels of SLUICE_LOG_LEVEL",
            DeleteAsync).Produces<LogLevelView>();
    }

    private async Task PutAsync(HttpContext context)
    {
        if (await JsonBody.ReadAsync(context) is not { } body) return;
        var errors = new List<FieldError>();
        if (body.Node is not JsonObject given)
        {
            await JsonBody.RefuseAsync(context, [new FieldError(
                "(all)", body.Node?.ToJsonString() ?? "null", "an object with level, categories and for")]);
            return;
        }

        foreach (var (name, value) in given)
            if (name is not ("level" or "categories" or "for"))
                errors.Add(new FieldError(
                    name, value?.ToJsonString() ?? "null", "a known field (level, categories, for)"));
        var next = LogLevels.Read(given, errors);
        var life = ReadFor(given["for"], errors);
        if (errors.Count > 0)
        {
            await JsonBody.RefuseAsync(context, errors);
            return;
        }

        AuditDetails.Set(context, levels.Current.ToJson(), next.ToJson());
        await store.WriteAsync(next.ToJson().ToJsonString(), life, context.RequestAborted);
        await watcher.RefreshAsync(context.RequestAborted);
        await AnswerAsync(context);
    }

    private async Task DeleteAsync(HttpContext context)
    {
        AuditDetails.Set(context, levels.Current.ToJson(), LogLevels.None.ToJson());
        await store.DeleteAsync(context.RequestAborted);
        await watcher.RefreshAsync(context.RequestAborted);
        await AnswerAsync(context);
    }

    private static TimeSpan? ReadFor(JsonNode? node, List<FieldError> errors)
    {
        if (node is null) return null;
        if (node is JsonValue value && value.TryGetValue<string>(out var text)
            && Duration.TryParse(text, out var life) && life >= TimeSpan.FromSeconds(1) && life <= MaxFor) return life;
        errors.Add(new FieldError(
            "for", node.ToJsonString(), $"{Duration.Expected}, from 1s to {Duration.Format(MaxFor)}"));
        return null;
    }

    private async Task AnswerAsync(HttpContext context)
    {
        var (stored, left) = await store.ReadAsync(context.RequestAborted);
        var now = LogLevels.Parse(stored);
        await context.Response.WriteAsJsonAsync(new LogLevelView(
            (now.Level ?? levels.Setting).ToString(),
            now.Categories.ToDictionary(c => c.Key, c => c.Value.ToString()),
            levels.Setting.ToString(),
            left is { } life ? time.GetUtcNow() + life : null), context.RequestAborted);
    }
}
