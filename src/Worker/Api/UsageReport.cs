using Microsoft.AspNetCore.Http;
using Sluice.Worker.Generation;

namespace Sluice.Worker.Api;

/// <summary>The usage of one request, which its handler records.</summary>
/// <param name="id">The id that the gateway gave; null: no gateway asks.</param>
/// <param name="onEnded">Called when the request has ended.</param>
internal sealed class UsageReport(string? id, Action<UsageReport>? onEnded) : IDisposable
{
    private readonly TaskCompletionSource<GenerationUsage> end =
        new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>The id that the gateway gave; null: no gateway asks.</summary>
    public string? Id => id;

    /// <summary>Completes with the usage when the request has ended.</summary>
    public Task<GenerationUsage> Ended => end.Task;

    /// <summary>What the request used so far.</summary>
    public GenerationUsage Usage { get; set; }

    /// <summary>Sets the header of a response that has not started: its usage so far.</summary>
    public void SetHeader(HttpContext context)
    {
        if (id is not null && !context.Response.HasStarted)
            context.Response.Headers[UsageReports.Header] = UsageReports.Format(Usage);
    }

    /// <summary>Declares the trailer of a stream, before its first byte.</summary>
    public void DeclareTrailer(HttpContext context)
    {
        if (id is not null) context.Response.DeclareTrailer(UsageReports.Header);
    }

    /// <summary>Sets the trailer of a stream, after its last byte.</summary>
    public void AppendTrailer(HttpContext context)
    {
        if (id is not null && context.Response.SupportsTrailers())
            context.Response.AppendTrailer(UsageReports.Header, UsageReports.Format(Usage));
    }

    public void Dispose()
    {
        if (end.TrySetResult(Usage)) onEnded?.Invoke(this);
    }
}
