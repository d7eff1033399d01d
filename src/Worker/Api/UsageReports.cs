using System.Collections.Concurrent;
using System.Globalization;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Sluice.Worker.Generation;
using Sluice.Worker.Http;

namespace Sluice.Worker.Api;

/// <summary>
/// Reports to the gateway how many tokens each request used, whether its client asks for that or not. The gateway names
/// the request with <see cref="IdHeader"/>. A response has the usage as <see cref="Header"/>: as a header, and as a
/// trailer if it streams. If a response was aborted, the gateway asks for the usage afterwards with
/// <c>GET /usage/{id}</c>.
/// </summary>
internal sealed class UsageReports
{
    /// <summary><c>prompt=12, cached=4, generated=40</c>. The header of a stream has the counts at its start.</summary>
    public const string Header = "X-Sluice-Usage";

    /// <summary>The id of the request, which is unguessable.</summary>
    public const string IdHeader = "X-Sluice-Usage-Id";

    private const int MaxIdLength = 64;

    /// <summary>
    /// The most reports of ended requests that are kept, about 300 bytes each. The gateway asks immediately after an
    /// abort.
    /// </summary>
    private const int MaxKept = 4096;

    private readonly ConcurrentDictionary<string, UsageReport> reports = [];
    private readonly ConcurrentQueue<UsageReport> ended = [];

    public void Map(Router routes) => routes.MapGet("/usage/{id}", ReadAsync);

    /// <summary>Starts the report of a request. The caller disposes it when the engine has ended its texts.</summary>
    public UsageReport Start(HttpContext context)
    {
        var id = context.Request.Headers[IdHeader].ToString();
        if (id.Length is 0 or > MaxIdLength) return new UsageReport(null, null);
        var report = new UsageReport(id, OnEnded);
        return reports.TryAdd(id, report) ? report : new UsageReport(null, null);
    }

    /// <summary>Returns the value of <see cref="Header"/>.</summary>
    public static string Format(GenerationUsage usage) => string.Create(CultureInfo.InvariantCulture,
        $"prompt={usage.Prompt}, cached={usage.Cached}, generated={usage.Generated}");

    private void OnEnded(UsageReport report)
    {
        ended.Enqueue(report);
        while (ended.Count > MaxKept && ended.TryDequeue(out var old)) reports.TryRemove(old.Id!, out _);
    }

    /// <summary>Waits until the request has ended, and sends its usage. 404: the id is unknown.</summary>
    private async Task ReadAsync(HttpContext context)
    {
        var id = (string)context.Request.RouteValues["id"]!;
        if (!reports.TryGetValue(id, out var report))
        {
            await JsonResponses.ErrorAsync(context, StatusCodes.Status404NotFound,
                $"The usage of request '{id}' is not known; expected the id of one of the last {MaxKept} requests.");
            return;
        }

        var usage = await report.Ended.WaitAsync(context.RequestAborted);
        await JsonResponses.WriteAsync(context, json => Write(json, usage));
    }

    private static void Write(Utf8JsonWriter json, GenerationUsage usage)
    {
        json.WriteStartObject();
        json.WriteNumber("prompt", usage.Prompt);
        json.WriteNumber("cached", usage.Cached);
        json.WriteNumber("generated", usage.Generated);
        json.WriteEndObject();
    }
}
