using System.Globalization;
using System.Net;
using System.Net.WebSockets;
using System.Text;
using System.Text.Json.Nodes;

/// <summary>
/// The web application of a user pod or of a worker, with STUB_POD in the environment: it reports what it receives,
/// sets what the query requests, and echoes the messages of WebSockets. It listens on HTTP/1.1.
/// </summary>
internal static class WebApplicationStub
{
    public static async Task RunAsync()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        var port = int.Parse(Environment.GetEnvironmentVariable("PORT")!, CultureInfo.InvariantCulture);
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, port));
        var app = builder.Build();
        app.UseWebSockets();
        app.MapGet("/{**path}", HandleAsync);
        app.MapPost("/{**path}", HandleAsync);
        app.MapPut("/{**path}", HandleAsync);
        app.MapDelete("/{**path}", HandleAsync);
        await app.StartAsync();
        Console.WriteLine("application up");
        await app.WaitForShutdownAsync();
        Console.WriteLine("application down");
    }

    /// <summary>
    /// Handles any request. The query: <c>set</c> sets a cookie (as the whole header), <c>header</c> a response header
    /// (NAME:VALUE), <c>print</c> writes a line to the output, <c>exit</c> ends the process with this code,
    /// <c>write</c> appends to the file <c>file</c> in the working directory. The path <c>socket</c> is a WebSocket: it
    /// first sends its subprotocols, cookies and origin, and it responds to the message <c>target</c> with its target.
    /// </summary>
    private static async Task HandleAsync(HttpContext context)
    {
        var (request, response) = (context.Request, context.Response);
        if (request.Path.Value!.EndsWith("/socket", StringComparison.Ordinal) && context.WebSockets.IsWebSocketRequest)
        {
            await EchoAsync(context);
            return;
        }

        foreach (var cookie in request.Query["set"]) response.Headers.Append("Set-Cookie", cookie);
        foreach (var header in request.Query["header"])
            response.Headers.Append(header!.Split(':', 2)[0], header.Split(':', 2)[1]);
        foreach (var line in request.Query["print"]) Console.WriteLine(line);
        if (request.Query["write"] is [{ } text, ..]) await File.AppendAllTextAsync("file", text);
        if (request.Query["exit"] is [{ } code, ..])
        {
            await response.CompleteAsync();
            Environment.Exit(int.Parse(code, CultureInfo.InvariantCulture));
        }

        using var reader = new StreamReader(request.Body);
        var headers = new JsonObject();
        foreach (var (name, values) in request.Headers) headers[name] = string.Join(" | ", values.ToArray());
        response.ContentType ??= "application/json";
        await response.WriteAsync(new JsonObject
        {
            ["method"] = request.Method,
            ["target"] = TargetOf(request),
            ["link"] = LinkOf(request),
            ["headers"] = headers,
            ["body"] = await reader.ReadToEndAsync(),
            ["file"] = File.Exists("file") ? await File.ReadAllTextAsync("file") : null,
            ["mode"] = Environment.GetEnvironmentVariable("MODE"),
            ["process"] = Environment.ProcessId,
        }.ToJsonString());
    }

    private static string TargetOf(HttpRequest request) => $"{request.Path.ToUriComponent()}{request.QueryString}";

    /// <summary>Returns the absolute URL of the page, as frameworks behind a proxy write it.</summary>
    private static string LinkOf(HttpRequest request)
    {
        var scheme = request.Headers["X-Forwarded-Proto"].ToString() is { Length: > 0 } seen ? seen : request.Scheme;
        return $"{scheme}://{request.Host}{request.Path.ToUriComponent()}";
    }

    private static async Task EchoAsync(HttpContext context)
    {
        // The last subprotocol, so that it differs from one that the gateway would select.
        var offered = context.WebSockets.WebSocketRequestedProtocols;
        using var socket = await context.WebSockets.AcceptWebSocketAsync(offered.LastOrDefault());
        var hello = string.Join(',', offered) + ";" + context.Request.Headers.Cookie + ";"
            + context.Request.Headers.Origin;
        await socket.SendAsync(Encoding.UTF8.GetBytes(hello), WebSocketMessageType.Text, true, default);
        var buffer = new byte[4096];
        while (await socket.ReceiveAsync(buffer.AsMemory(), default)
            is { MessageType: not WebSocketMessageType.Close } read)
        {
            var message = buffer.AsMemory(0, read.Count);
            if (message.Span.SequenceEqual("target"u8)) message = Encoding.UTF8.GetBytes(TargetOf(context.Request));
            await socket.SendAsync(message, read.MessageType, read.EndOfMessage, default);
        }

        await socket.CloseAsync(WebSocketCloseStatus.NormalClosure, null, default);
    }
}
