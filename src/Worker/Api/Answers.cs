using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Microsoft.AspNetCore.Http;

namespace Sluice.Worker.Api;

/// <summary>Small JSON answers.</summary>
internal static class Answers
{
    public static Task JsonAsync<T>(HttpContext context, T body, JsonTypeInfo<T> type)
    {
        context.Response.ContentType = "application/json";
        return JsonSerializer.SerializeAsync(context.Response.Body, body, type, context.RequestAborted);
    }

    public static Task ErrorAsync(HttpContext context, int status, string error)
    {
        context.Response.StatusCode = status;
        return JsonAsync(context, new ErrorBody(error), WorkerJson.Default.ErrorBody);
    }
}
