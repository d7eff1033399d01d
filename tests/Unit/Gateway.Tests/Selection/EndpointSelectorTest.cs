using System.Globalization;
using System.Net.Sockets;
using System.Text;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Sluice.Gateway.Forwarding;
using Sluice.Gateway.Http;
using Sluice.Gateway.Selection;
using Sluice.Testing;

namespace Sluice.Gateway.Tests.Selection;

/// <summary>
/// Tests the selectors in a real server. The handler reads the body after the selection, as the forwarder does, and
/// returns what was selected and the number of bytes that it read.
/// </summary>
public sealed class EndpointSelectorTest : IAsyncLifetime
{
    private const int Limit = 4 << 20;

    /// <summary>The limit of the endpoint that the handler applies; lower than that of the selector.</summary>
    private const int EndpointLimit = 3 << 20;

    private readonly ManualTime time = new();
    private readonly ByteBudget budget = new(8 << 20);
    private long usedByHandler;
    private WebApplication app = null!;
    private HttpClient client = null!;

    public async ValueTask InitializeAsync()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        builder.WebHost.ConfigureKestrel(k => k.Limits.MaxRequestBodySize = 1024);
        builder.Services.AddSingleton<TimeProvider>(time).AddSingleton(budget);
        app = builder.Build();
        app.MapPost("/body", context => HandleAsync(context, new JsonBodySelector("model", Limit)));
        app.MapPost("/header", context => HandleAsync(context, new HeaderSelector("X-Model")));
        app.MapPost("/e/{endpoint}", context => HandleAsync(context, RouteSelector.Instance));
        app.MapPost("/m/{model}", context => HandleAsync(context, RouteSelector.Instance));
        app.MapPost("/none", context => HandleAsync(context, RouteSelector.Instance));
        await app.StartAsync();
        client = new HttpClient { BaseAddress = new Uri(app.Urls.First()) };
    }

    public async ValueTask DisposeAsync()
    {
        client.Dispose();
        await app.DisposeAsync();
    }

    [Theory]
    [InlineData("/e/digits", "endpoint digits 7")]
    [InlineData("/m/mnist", "model mnist 7")]
    [InlineData("/none", "endpoint  7")]
    public async Task A_route_selects_by_endpoint_or_model(string path, string expected) =>
        Assert.Equal((200, expected), await SendAsync(path, """{"a":1}"""));

    [Fact]
    public async Task A_header_selects_the_model_and_a_request_without_it_gets_400()
    {
        Assert.Equal((200, "model mnist 2"), await SendAsync("/header", "{}", "mnist"));
        Assert.Equal(
            (400, "Header 'X-Model' has 0 values; expected one: the name of a model."),
            await SendAsync("/header", "{}"));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(100)]
    [InlineData(2_000_000)]
    public async Task The_handler_reads_the_whole_body_after_its_field_selected_the_model(int before)
    {
        var body = $$"""{"messages":"{{new string('x', before)}}","model":"llama","stream":true}""";
        Assert.Equal((200, $"model llama {body.Length}"), await SendAsync("/body", body));
        // The bytes before the field count until the response is complete: the server holds them meanwhile.
        Assert.Equal(before > 1_000_000, usedByHandler > 0);
        await ReleasedAsync(0);
    }

    [Fact]
    public async Task The_selection_does_not_wait_for_the_rest_of_the_body()
    {
        using var socket = new TcpClient();
        await socket.ConnectAsync("127.0.0.1", new Uri(app.Urls.First()).Port);
        var stream = socket.GetStream();
        await stream.WriteAsync("POST /body?early HTTP/1.1\r\nHost: x\r\nContent-Length: 51\r\n\r\n"u8.ToArray());
        await stream.WriteAsync("{\"messages\":[],"u8.ToArray());
        await stream.WriteAsync("\"model\":\"llama\","u8.ToArray());
        using var reader = new StreamReader(stream, Encoding.ASCII);
        while (await reader.ReadLineAsync() is { Length: > 0 })
        {
        }

        // The handler writes the selection and the bytes that it already read before the body is complete.
        Assert.Equal("model llama", await ReadChunkAsync(reader));
        Assert.Equal("31", await ReadChunkAsync(reader));
        await stream.WriteAsync("\"stream\":true      }"u8.ToArray());
        Assert.Equal("51", await ReadChunkAsync(reader));
    }

    [Theory]
    [InlineData("""{"stream":true}""", "'model' is missing; expected the name of a model.")]
    [InlineData("""{"model":7}""", "'model' is not a string; expected the name of a model.")]
    [InlineData("""{"model":""}""", "'model' is ''; expected the name of a model.")]
    [InlineData("[]", "The body is not a JSON object with the field 'model': The body is a JSON StartArray.")]
    [InlineData("", "The body is not a JSON object with the field 'model': ")]
    [InlineData("""{"a":1""", "The body is not a JSON object with the field 'model': ")]
    public async Task A_body_that_names_no_model_gets_400(string body, string error)
    {
        var (status, text) = await SendAsync("/body", body);
        Assert.Equal(400, status);
        Assert.StartsWith(error, text, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_body_above_the_limit_gets_413(bool chunked)
    {
        var body = $$"""{"messages":"{{new string('x', Limit)}}","model":"llama"}""";
        var (status, _) = await SendAsync("/body", body, chunked: chunked);
        Assert.Equal(413, status);
        await ReleasedAsync(0);
    }

    [Fact]
    public async Task A_chunked_body_above_the_limit_of_its_endpoint_gets_413()
    {
        var body = $$"""{"model":"llama","messages":"{{new string('x', EndpointLimit)}}"}""";
        Assert.Equal(
            (413, $"The request body has more than {EndpointLimit} bytes (forwarding.maxBodyBytes of the endpoint)."),
            await SendAsync("/body", body, chunked: true));
    }

    [Fact]
    public async Task Bodies_use_no_more_memory_than_the_budget_while_the_field_is_searched()
    {
        Assert.True(budget.TryTake(7 << 20));
        var body = $$"""{"messages":"{{new string('x', 2 << 20)}}","model":"llama"}""";
        var (status, text) = await SendAsync("/body", body, chunked: true);
        Assert.Equal(503, status);
        Assert.Contains("SLUICE_BODY_MEMORY", text, StringComparison.Ordinal);
        await ReleasedAsync(7 << 20);
    }

    [Fact]
    public async Task A_body_that_stalls_before_its_field_gets_408()
    {
        using var socket = new TcpClient();
        await socket.ConnectAsync("127.0.0.1", new Uri(app.Urls.First()).Port);
        var stream = socket.GetStream();
        await stream.WriteAsync("POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\n{\"a\":"u8.ToArray());
        await Eventually.HoldsAsync(() => budget.Used == 5, "the body is being read");
        time.Advance(PacedBodyReader.Window);
        time.Advance(PacedBodyReader.Window);
        using var reader = new StreamReader(stream, Encoding.ASCII);
        Assert.Equal("HTTP/1.1 408 Request Timeout", await reader.ReadLineAsync());
    }

    private async Task<(int Status, string Text)> SendAsync(
        string path, string body, string? header = null, bool chunked = false)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, path);
        request.Content = new StringContent(body);
        if (header is not null) request.Headers.Add("X-Model", header);
        if (chunked) request.Headers.TransferEncodingChunked = true;
        using var response = await client.SendAsync(request);
        return ((int)response.StatusCode, await response.Content.ReadAsStringAsync());
    }

    private Task ReleasedAsync(long used) =>
        Eventually.HoldsAsync(() => budget.Used == used, $"the budget has {used} bytes in use");

    private static async Task<string?> ReadChunkAsync(StreamReader reader)
    {
        await reader.ReadLineAsync();
        return await reader.ReadLineAsync();
    }

    private async Task HandleAsync(HttpContext context, IEndpointSelector selector)
    {
        var selection = await selector.SelectAsync(context);
        usedByHandler = budget.Used;
        if (selection.Error is { } error)
        {
            context.Response.StatusCode = selection.ErrorStatus;
            await context.Response.WriteAsync(error);
            return;
        }

        var kind = $"{(selection.IsModel ? "model" : "endpoint")} {selection.Name}";
        await using var body = new ReplayBody(context.Request.BodyReader, 1024, maxBytes: EndpointLimit);
        if (context.Request.QueryString.HasValue)
        {
            await EchoAsync(context.Response, body, kind);
            return;
        }

        var count = new MemoryStream();
        try
        {
            await body.CopyToAsync(count);
            await context.Response.WriteAsync($"{kind} {count.Length}");
        }
        catch (BadHttpRequestException e)
        {
            context.Response.StatusCode = e.StatusCode;
            await context.Response.WriteAsync(e.Message);
        }
    }

    /// <summary>Writes the selection, and after each read the number of bytes that were read so far.</summary>
    private static async Task EchoAsync(HttpResponse response, ReplayBody body, string kind)
    {
        await response.WriteAsync(kind);
        await response.Body.FlushAsync();
        var buffer = new byte[100];
        for (var total = 0; await body.ReadAsync(buffer) is > 0 and var n;)
        {
            total += n;
            await response.WriteAsync(total.ToString(CultureInfo.InvariantCulture));
            await response.Body.FlushAsync();
        }
    }
}
