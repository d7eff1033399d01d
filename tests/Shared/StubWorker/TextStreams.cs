using System.Diagnostics;
using System.Text.Json.Nodes;

/// <summary>
/// Streams of text in the form of the OpenAI API. <c>do</c> of the request says what happens: <c>plain</c> streams
/// without marks; <c>refuse</c> streams with marks, and continues no stream; <c>whole</c> is a whole response. The
/// worker dies in the middle of each; a second worker completes <c>whole</c>, because <c>file</c> of the request exists
/// then. <c>marked</c> and <c>unmarked</c> are whole streams, and <c>error</c> is a response with status 400.
/// <c>unmarked</c> has 3 tokens without usage; <c>usage</c> is a whole response with usage.
/// </summary>
internal static class TextStreams
{
    private const string Event = "data: {\"choices\":[{\"index\":0,\"text\":\"a\"}]}\n\n";

    private const string Done = "data: [DONE]\n\n";

    /// <summary>Handles a request.</summary>
    public static async Task HandleAsync(HttpContext context)
    {
        var header = context.Request.Headers["X-Sluice-Resume"].ToString();
        if (header.Length > 1)
        {
            context.Response.StatusCode = StatusCodes.Status409Conflict;
            return;
        }

        var body = (await JsonNode.ParseAsync(context.Request.Body))!;
        var gone = context.RequestAborted;
        if ((string?)body["do"] == "whole")
        {
            context.Response.ContentType = "application/json";
            var isSecond = File.Exists((string)body["file"]!);
            await File.AppendAllTextAsync((string)body["file"]!, $"{header}\n", gone);
            await context.Response.StartAsync(gone);
            if (!isSecond) Process.GetCurrentProcess().Kill();
            await context.Response.WriteAsync("{\"choices\":[]}", gone);
            return;
        }

        if ((string?)body["do"] == "error")
        {
            context.Response.StatusCode = StatusCodes.Status400BadRequest;
            await context.Response.WriteAsync("{\n\"error\":{\"message\":\"not this\",\"code\":\"stub\"}}", gone);
            return;
        }

        if ((string?)body["do"] == "usage")
        {
            await context.Response.WriteAsync(
                "{\"choices\":[],\"usage\":{\"prompt_tokens\":11,\"completion_tokens\":22}}", gone);
            return;
        }

        var isMarked = (string?)body["do"] is "refuse" or "marked";
        context.Response.ContentType = "text/event-stream";
        if (isMarked) context.Response.Headers["X-Sluice-Resume"] = "stub";
        for (var i = 0; i < 3; i++)
        {
            await context.Response.WriteAsync((isMarked ? $": {Event.Length} {i}\n" : "") + Event, gone);
            await context.Response.Body.FlushAsync(gone);
        }

        if ((string?)body["do"] is "marked" or "unmarked")
        {
            await context.Response.WriteAsync((isMarked ? $": {Done.Length} end\n" : "") + Done, gone);
            return;
        }

        // The last part is incomplete.
        if (isMarked) await context.Response.WriteAsync($": {Event.Length} 3\n{Event[..9]}", gone);
        await context.Response.Body.FlushAsync(gone);
        await Task.Delay(TimeSpan.FromMilliseconds(200), TimeProvider.System, gone);
        Process.GetCurrentProcess().Kill();
    }
}
