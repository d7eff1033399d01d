using System.Globalization;
using System.Net;
using Microsoft.AspNetCore.Server.Kestrel.Core;

// A worker that costs nothing: what is measured in front of it is the gateway. PORT speaks HTTP/2 cleartext, HTTP1_PORT
// HTTP/1.1; POST / answers a small JSON document, POST /events ten events, one each 20 ms, and
// POST /v1/chat/completions tokens on a clock.
var answer = """{"model_name":"noop","outputs":[{"name":"y","datatype":"FP32","shape":[1],"data":[0.5]}]}"""u8.ToArray();
var builder = WebApplication.CreateSlimBuilder();
builder.Logging.ClearProviders();
builder.WebHost.ConfigureKestrel(kestrel =>
{
    kestrel.AddServerHeader = false;
    kestrel.Limits.Http2.MaxStreamsPerConnection = 1000;
    Listen("PORT", HttpProtocols.Http2);
    Listen("HTTP1_PORT", HttpProtocols.Http1);

    void Listen(string variable, HttpProtocols protocols)
    {
        if (Environment.GetEnvironmentVariable(variable) is { Length: > 0 } port)
            kestrel.Listen(IPAddress.Loopback, int.Parse(port, CultureInfo.InvariantCulture), l => l.Protocols = protocols);
    }
});
var app = builder.Build();
app.MapGet("/ready", () => "ready");
app.MapPost("/events", async context =>
{
    context.Response.ContentType = "text/event-stream";
    for (var i = 0; i < 10; i++)
    {
        await context.Response.WriteAsync($"data: {i}\n\n", context.RequestAborted);
        await context.Response.Body.FlushAsync(context.RequestAborted);
        await Task.Delay(TimeSpan.FromMilliseconds(20), TimeProvider.System, context.RequestAborted);
    }
});
app.MapPost("/v1/chat/completions", TokenClock.HandleAsync);
app.MapPost("/", async context =>
{
    await context.Request.Body.CopyToAsync(Stream.Null);
    context.Response.ContentType = "application/json";
    context.Response.ContentLength = answer.Length;
    await context.Response.Body.WriteAsync(answer);
});
await app.StartAsync();
Console.WriteLine("ready");
await app.WaitForShutdownAsync();
