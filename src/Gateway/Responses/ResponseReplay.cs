using System.Text.Json.Nodes;
using Sluice.Domain.Jobs;
using Sluice.Gateway.Jobs;

namespace Sluice.Gateway.Responses;

/// <summary>
/// Repeats the events of a response in the background from the log of its job. Every gateway gets the same events with
/// the same numbers, however often it reads. Pure.
/// </summary>
/// <param name="record">The record of the response.</param>
internal sealed class ResponseReplay(ResponseRecord record)
{
    /// <summary>The fields that the assembler sets.</summary>
    private static readonly string[] Own =
        ["id", "object", "created_at", "status", "error", "incomplete_details", "output", "usage"];

    private readonly ResponseAssembler assembler = new(record.Id, (long)record.Response["created_at"]!, Echo(record));

    /// <summary>Whether <see cref="Start"/> was called.</summary>
    public bool IsStarted => assembler.IsStarted;

    /// <summary>Returns the events of a response that waits.</summary>
    public IReadOnlyList<JsonObject> Queue() => assembler.Queue();

    /// <summary>Returns the event of a response whose job runs or has run.</summary>
    public IReadOnlyList<JsonObject> Start() => assembler.Start();

    /// <summary>Returns the events of an entry of the log.</summary>
    public IReadOnlyList<JsonObject> Add(byte[] entry)
    {
        List<JsonObject> events = [];
        if (ResponseJson.Parse(entry, out var why) is not { } parsed)
            return assembler.Fail(null, $"The log of the stream is not valid: {why}");
        foreach (var chunk in parsed["chunks"] as JsonArray ?? [])
            if (chunk is JsonObject one) events.AddRange(assembler.Add(one));
        return events;
    }

    /// <summary>Returns the last events.</summary>
    /// <param name="job">The job, which has ended.</param>
    public IReadOnlyList<JsonObject> End(Job job)
    {
        if (job.Status == JobStatus.Cancelled) return assembler.Cancel();
        if (job.Output is not { } output)
            return assembler.Fail(null, job.Error?.Message ?? "The job of the response has no output.");
        var (status, body) = PathJob.Parse(output);
        var parsed = ResponseJson.Parse(System.Text.Encoding.UTF8.GetBytes(body), out var why);
        if (status >= StatusCodes.Status400BadRequest)
        {
            var (code, message) = ResponseErrors.Read(status, parsed);
            return assembler.Fail(code, message);
        }

        if (record.Job!.IsStreamed) return assembler.End();
        if (parsed is null)
            return assembler.Fail(null, $"The response of the worker is not a chat completion: {why}");
        return [.. assembler.Add(parsed), .. assembler.End()];
    }

    /// <summary>Returns the response as it is now.</summary>
    public JsonObject ToObject() => assembler.ToObject();

    private static JsonObject Echo(ResponseRecord record)
    {
        var echo = (JsonObject)record.Response.DeepClone();
        foreach (var name in Own) echo.Remove(name);
        return echo;
    }
}
