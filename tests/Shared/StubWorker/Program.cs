using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Server.Kestrel.Core;

// A worker that executes the action in a job's input, and logs every execution to $STUB_LOG.PID: "begin ID ATTEMPT",
// then "end" or "stopped"; with "fence" in the input also "fence ID FENCE".
// A request below /v1 is answered with its path and body, after "ms" and with the status "status" of the body, or by
// ChatAnswers if it has messages.
// {"input": {"do": "echo|env|sleep|die|die-before|error|status|garbage|empty|huge|stream|stall|diverge", ...}}
// With STUB_POD in the environment, it is the web application of a user pod instead.
if (Environment.GetEnvironmentVariable("STUB_POD") is not null)
{
    await WebApplicationStub.RunAsync();
    return;
}

var log = Environment.GetEnvironmentVariable("STUB_LOG") is { } path ? $"{path}.{Environment.ProcessId}" : null;
var gate = new Lock();
// Without configuration, logs and routing: tests start hundreds of these programs.
var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel =>
{
    kestrel.Limits.Http2.MaxStreamsPerConnection = 1000;
    var port = int.Parse(Environment.GetEnvironmentVariable("PORT")!, CultureInfo.InvariantCulture);
    kestrel.Listen(IPAddress.Loopback, port, l => l.Protocols = HttpProtocols.Http2);
});
var app = builder.Build();
app.Run(context => context.Request.Path.Value switch
{
    "/ready" => context.Response.WriteAsync("ready"),
    "/run" => RunJobAsync(context),
    "/v1/completions" => TextStreams.HandleAsync(context),
    { } path when path.StartsWith("/v1/", StringComparison.Ordinal) => AnswerAsync(context),
    _ => NotFoundAsync(context),
});
await app.StartAsync();
Console.WriteLine("ready");
await app.WaitForShutdownAsync();

static Task NotFoundAsync(HttpContext context)
{
    context.Response.StatusCode = 404;
    return Task.CompletedTask;
}

async Task RunJobAsync(HttpContext context)
{
    var job = (await JsonNode.ParseAsync(context.Request.Body))!.AsObject();
    var (id, attempt) = ((string)job["id"]!, (int)job["attempt"]!);
    Note($"begin {id} {attempt}");
    if (job["input"] is JsonObject input && input.ContainsKey("fence"))
        Note($"fence {id} {context.Request.Headers["X-Sluice-Fence"]}");
    try
    {
        await RunAsync(context, job["input"], attempt);
        Note($"end {id} {attempt}");
    }
    catch (OperationCanceledException)
    {
        Note($"stopped {id} {attempt}");
    }
}

async Task AnswerAsync(HttpContext context)
{
    var (skip, body) = await ChatAnswers.ReadAsync(context);
    var id = context.Request.Headers["X-Request-Id"].ToString();
    Note($"begin {id} 1");
    try
    {
        if (body["messages"] is JsonArray { Count: > 0 })
        {
            await ChatAnswers.HandleAsync(context, body, skip);
            Note($"end {id} 1");
            return;
        }

        await Task.Delay(TimeSpan.FromMilliseconds((int?)body["ms"] ?? 0), TimeProvider.System, context.RequestAborted);
        context.Response.StatusCode = (int?)body["status"] ?? 200;
        context.Response.ContentType = "application/json";
        // Two lines, as servers with indented JSON send them.
        await context.Response.WriteAsync("{\n\"path\":" + JsonValue.Create(context.Request.Path.Value)!.ToJsonString()
            + ",\"body\":" + body.ToJsonString() + "}", context.RequestAborted);
        Note($"end {id} 1");
    }
    catch (OperationCanceledException)
    {
        Note($"stopped {id} 1");
    }
}

void Note(string line)
{
    if (log is null) return;
    lock (gate)
    {
        // Written without a buffer, so that the log is complete if the worker is killed.
        using var file = new FileStream(log, FileMode.Append, FileAccess.Write, FileShare.ReadWrite, 1);
        file.Write(Encoding.UTF8.GetBytes(line + "\n"));
    }
}

static async Task RunAsync(HttpContext context, JsonNode? input, int attempt)
{
    var what = input as JsonObject;
    var ms = (int?)what?["ms"] ?? 0;
    var gone = context.RequestAborted;
    context.Response.ContentType = "application/json";
    switch ((string?)what?["do"])
    {
        case "env":
            var value = JsonValue.Create(Environment.GetEnvironmentVariable((string)what!["name"]!));
            await context.Response.WriteAsync(new JsonObject { ["output"] = value }.ToJsonString(), gone);
            return;
        case "sleep":
            await Task.Delay(TimeSpan.FromMilliseconds(ms), TimeProvider.System, gone);
            break;
        case "die-before" when attempt < ((int?)what?["attempt"] ?? int.MaxValue):
            Process.GetCurrentProcess().Kill();
            break;
        case "die":
            await Task.Delay(TimeSpan.FromMilliseconds(ms), TimeProvider.System, gone);
            Process.GetCurrentProcess().Kill();
            break;
        case "error":
            await context.Response.WriteAsync("""{"error":"the handler said no"}""", gone);
            return;
        case "status":
            context.Response.StatusCode = (int)what!["code"]!;
            await context.Response.WriteAsync("""{"error":"a status of its own"}""", gone);
            return;
        case "garbage":
            await context.Response.WriteAsync("<html>not JSON", gone);
            return;
        case "empty":
            return;
        case "huge":
            var piece = new byte[1 << 20];
            piece.AsSpan().Fill((byte)'a');
            await context.Response.WriteAsync("{\"output\":\"", gone);
            for (var i = 0; i < (int)what!["mib"]!; i++) await context.Response.Body.WriteAsync(piece, gone);
            await context.Response.WriteAsync("\"}", gone);
            return;
        case "stream" or "stall" or "diverge" or "cut":
            await StreamAsync(context, what!, ms, attempt, gone);
            return;
    }

    var output = JsonSerializer.SerializeToUtf8Bytes(new JsonObject { ["output"] = input?.DeepClone() });
    context.Response.ContentLength = output.Length;
    await context.Response.Body.WriteAsync(output, gone);
}

static async Task StreamAsync(HttpContext context, JsonObject what, int ms, int attempt, CancellationToken gone)
{
    context.Response.ContentType = "text/event-stream";
    var kind = (string)what["do"]!;
    for (var i = 0; i < (int)what["chunks"]!; i++)
    {
        if (kind == "stall" && i == 3) await Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, gone);
        if (kind is "cut" or "diverge" && i == 3 && attempt == 1) Process.GetCurrentProcess().Kill();
        var of = kind == "diverge" ? $",\"of\":{attempt}" : "";
        await context.Response.WriteAsync($"data: {{\"n\":{i}{of}}}\n\n", gone);
        await context.Response.Body.FlushAsync(gone);
        if (ms > 0) await Task.Delay(TimeSpan.FromMilliseconds(ms), TimeProvider.System, gone);
    }
}
