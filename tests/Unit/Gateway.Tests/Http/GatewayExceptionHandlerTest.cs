using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Sluice.Gateway.Http;
using Sluice.Storage.Jobs;

namespace Sluice.Gateway.Tests.Http;

/// <summary>The exact bytes of the responses to requests that no handler completes, and what is logged.</summary>
public sealed class GatewayExceptionHandlerTest : IAsyncLifetime
{
    private const string Problem = "application/problem+json";
    private const string Json = "application/json";
    private const string Internal = "Internal error of the gateway. Its log contains this request id.";

    private readonly Events events = new();
    private WebApplication app = null!;

    public async ValueTask InitializeAsync()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders().AddProvider(events).SetMinimumLevel(LogLevel.Debug);
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        builder.WebHost.ConfigureKestrel(k => k.AddServerHeader = false);
        builder.Services.AddRouting();
        app = builder.Build();
        app.Use(next => context => RequestId.InvokeAsync(context, next));
        app.UseRouting();
        // Like CrossOrigin, which adds its headers when the response starts.
        app.Use(next => context =>
        {
            context.Response.OnStarting(() =>
            {
                context.Response.Headers.AccessControlAllowOrigin = "*";
                return Task.CompletedTask;
            });
            return next(context);
        });
        var logger = app.Services.GetRequiredService<ILoggerFactory>().CreateLogger("Sluice.Gateway.Api");
        app.Use(next => context => GatewayExceptionHandler.InvokeAsync(context, next, logger));
        Map("/bug", () => new InvalidDataException("secret"));
        Map("/v1/bug", () => new InvalidDataException("secret"));
        Map("/v2/models/m/bug", () => new InvalidDataException("secret"));
        Map("/bad", () => new BadHttpRequestException("The body is too large.", 413));
        Map("/redis", () => new TimeoutException("secret"));
        Map("/payload", () => new PayloadException(PayloadFault.Full, new IOException("secret")));
        app.MapGet("/text", () => JsonElement.Parse("\"\\ud800\"").GetString());
        app.MapGet("/status", (HttpContext c) => { c.Response.StatusCode = 415; });
        app.MapGet("/started", async (HttpContext c) =>
        {
            await c.Response.WriteAsync("part");
            await c.Response.Body.FlushAsync();
            throw new InvalidDataException("secret");
        });
        app.MapPost("/post", () => "");
        await app.StartAsync();

        void Map(string path, Func<Exception> error) => app.MapGet(path, (HttpContext c) =>
        {
            // A failed handler leaves no header of its unfinished response.
            c.Response.Headers.ETag = "\"1\"";
            c.Response.Headers["X-Other"] = "1";
            c.Response.StatusCode = 201;
            throw error();
        });
    }

    public ValueTask DisposeAsync() => app.DisposeAsync();

    /// <summary>The path, the status line, the content type, the body, additional headers, and the events.</summary>
    public static TheoryData<string, string, string, string, string, string> Answers => new()
    {
        { "/bug", "500 Internal Server Error", Problem, Body("Internal Server Error", 500, Internal), "",
            "RequestHandlerFailed" },
        { "/v1/bug", "500 Internal Server Error", Json,
            $$$"""{"error":{"message":"{{{Internal}}}","type":"server_error","param":null,"code":null}}""", "",
            "RequestHandlerFailed" },
        { "/v2/models/m/bug", "500 Internal Server Error", Json, $$"""{"error":"{{Internal}}"}""", "",
            "RequestHandlerFailed" },
        { "/bad", "413 Payload Too Large", Problem, Body("Payload Too Large", 413, "The body is too large."), "", "" },
        { "/redis", "503 Service Unavailable", Problem, Body("Service Unavailable", 503, "Redis is unreachable."),
            "Retry-After: 1\r\n", "" },
        { "/payload", "503 Service Unavailable", Problem, Body("Service Unavailable", 503,
            "The folder of large payloads (SLUICE_PAYLOADS) is full."), "Retry-After: 10\r\n", "PayloadFolderFailed" },
        { "/text", "400 Bad Request", Problem, Body("Bad Request", 400, "The body contains invalid text: Cannot read "
            + "incomplete UTF-16 JSON text as string with missing low surrogate."), "", "" },
        { "/status", "415 Unsupported Media Type", Problem, Body("Unsupported Media Type", 415,
            "The request was rejected with status 415."), "", "" },
        { "/none", "404 Not Found", Problem, Body("Not Found", 404, "The path '/none' does not exist."), "", "" },
        { "/v2/digits/infer", "404 Not Found", Problem, Body("Not Found", 404,
            "The path '/v2/digits/infer' does not exist. Did you mean '/v2/models/digits/infer'?"), "", "" },
        { "/post", "405 Method Not Allowed", Problem, Body("Method Not Allowed", 405,
            "The path '/post' does not support the method GET; expected POST."), "Allow: POST\r\n", "" },
    };

    [Theory]
    [MemberData(nameof(Answers))]
    public async Task The_response_has_exact_bytes_and_a_fault_is_logged_once(
        string path, string status, string type, string body, string headers, string logged)
    {
        var length = Encoding.UTF8.GetByteCount(body);
        var expected = $"HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\nContent-Type: {type}\r\n"
            + $"Access-Control-Allow-Origin: *\r\n{headers}X-Request-Id: r1\r\n\r\n{body}";
        Assert.Equal(expected, await SendAsync(path));
        Assert.Equal(logged, string.Join(' ', events.Names));
    }

    [Fact]
    public async Task A_response_that_has_started_is_aborted_and_logged_once()
    {
        var answer = await SendAsync("/started");
        Assert.DoesNotContain("\r\n0\r\n", answer, StringComparison.Ordinal);
        Assert.Equal(["RequestAborted"], events.Names);
    }

    private static string Body(string title, int status, string detail) =>
        $$"""{"title":"{{title}}","status":{{status}},"detail":"{{detail}}","error":"{{detail}}","requestId":"r1"}""";

    private async Task<string> SendAsync(string path)
    {
        using var socket = new TcpClient();
        var url = new Uri(app.Urls.First());
        await socket.ConnectAsync(IPAddress.Loopback, url.Port);
        var stream = socket.GetStream();
        await stream.WriteAsync(Encoding.ASCII.GetBytes(
            $"GET {path} HTTP/1.1\r\nHost: x\r\nX-Request-Id: r1\r\nConnection: close\r\n\r\n"));
        var all = new MemoryStream();
        try
        {
            await stream.CopyToAsync(all);
        }
        catch (IOException)
        {
            // The server aborted the connection.
        }

        var lines = Encoding.UTF8.GetString(all.ToArray()).Split("\r\n");
        return string.Join("\r\n", lines.Where(l => !l.StartsWith("Date: ", StringComparison.Ordinal)));
    }

    /// <summary>The events of the gateway, and the warnings and errors of the server.</summary>
    private sealed class Events : ILoggerProvider
    {
        private readonly ConcurrentQueue<string> names = [];

        public IEnumerable<string> Names => names;

        public ILogger CreateLogger(string categoryName) =>
            new Logger(names, categoryName.StartsWith("Sluice", StringComparison.Ordinal));

        public void Dispose()
        {
        }
    }

    private sealed class Logger(ConcurrentQueue<string> names, bool isGateway) : ILogger
    {
        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => isGateway || logLevel >= LogLevel.Warning;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception,
            Func<TState, Exception?, string> formatter)
        {
            if (IsEnabled(logLevel)) names.Enqueue(eventId.Name ?? formatter(state, exception));
        }
    }
}
