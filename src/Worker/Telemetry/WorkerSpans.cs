using System.Diagnostics;
using Microsoft.AspNetCore.Http;

namespace Sluice.Worker.Telemetry;

/// <summary>
/// Creates the spans of the worker. Parents are always passed: no span is ever <see cref="Activity.Current"/>, because
/// the threads of a model run work of many requests.
/// </summary>
internal static class WorkerSpans
{
    public const string ErrorType = "error.type";

    /// <summary>The source of all spans of the worker.</summary>
    public static readonly ActivitySource Source = new("Sluice.Worker");

    /// <summary>Returns the span of a request; null: it is not recorded.</summary>
    public static Activity? Find(HttpContext context) =>
        Source.HasListeners() ? context.Features.Get<Activity>() : null;

    /// <summary>Starts a span; null: it is not recorded.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="kind">Its kind.</param>
    /// <param name="parent">Its parent.</param>
    /// <param name="at">When it started; null: now.</param>
    /// <param name="links">Spans that belong to the same work; null: none.</param>
    public static Activity? Start(
        string name,
        ActivityKind kind,
        ActivityContext parent,
        DateTime? at = null,
        IEnumerable<ActivityLink>? links = null)
    {
        var span = Source.CreateActivity(name, kind, parent, links: links);
        if (span is not { Recorded: true }) return null;
        if (at is { } time) span.SetStartTime(time);
        span.Start();
        Activity.Current = null;
        return span;
    }

    /// <summary>Adds a span that has ended.</summary>
    public static Activity? Add(
        string name,
        ActivityContext parent,
        DateTime from,
        DateTime until,
        IEnumerable<ActivityLink>? links = null)
    {
        var span = Start(name, ActivityKind.Internal, parent, from, links);
        span?.SetEndTime(until);
        span?.Stop();
        return span;
    }

    /// <summary>Marks a span as failed.</summary>
    /// <param name="span">The span.</param>
    /// <param name="error">A short name of the error. Error texts may contain data of clients.</param>
    public static void Fail(this Activity span, string error) =>
        span.SetStatus(ActivityStatusCode.Error).SetTag(ErrorType, error);

    /// <summary>Returns a function that converts timestamps of the stopwatch to UTC.</summary>
    public static Func<long, DateTime> Clock()
    {
        var (now, utc) = (Stopwatch.GetTimestamp(), TimeProvider.System.GetUtcNow().UtcDateTime);
        return timestamp => utc - Stopwatch.GetElapsedTime(timestamp, now);
    }
}
