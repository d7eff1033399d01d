using System.Net;
using System.Net.Http.Json;
using System.Text.Json.Nodes;
using Sluice.Testing;
using Cause = Sluice.InProcess.Tests.CancellationTest.Cause;

namespace Sluice.InProcess.Tests;

/// <summary>A request for a long text, on one of the paths to a worker, that a test cancels.</summary>
internal sealed class CancellableRequest : IAsyncDisposable
{
    private readonly InProcessGateway gateway;
    private readonly string endpoint;
    private readonly CancellationTokenSource gone = new();
    private Task<(HttpStatusCode Status, string Body)>? sent;
    private string? job, response;

    private CancellableRequest(InProcessGateway gateway, string endpoint)
    {
        this.gateway = gateway;
        this.endpoint = endpoint;
    }

    /// <summary>
    /// The largest number of tokens of a text. The cache of the worker holds two such texts, and it generates one of
    /// them in many seconds.
    /// </summary>
    private const int MaxTokens = 14_000;

    /// <summary>The input of a job.</summary>
    public static JsonObject Text(bool isStreamed) => new()
    {
        ["text_input"] = "a",
        ["max_tokens"] = MaxTokens,
        ["ignore_eos"] = true,
        ["temperature"] = 0,
        ["stream"] = isStreamed,
    };

    /// <summary>Sends a request.</summary>
    /// <param name="gateway">The gateway.</param>
    /// <param name="endpoint">The endpoint.</param>
    /// <param name="kind">
    /// The API: <c>chat</c>, <c>response</c>, <c>background</c> (a response in the background),
    /// <c>job</c> or <c>waiting-job</c> (its client waits for the output), with <c>-stream</c> for a stream.
    /// </param>
    public static async Task<CancellableRequest> StartAsync(InProcessGateway gateway, string endpoint, string kind)
    {
        var request = new CancellableRequest(gateway, endpoint);
        var isStreamed = kind.EndsWith("-stream", StringComparison.Ordinal);
        var body = new JsonObject { ["model"] = endpoint, ["ignore_eos"] = true, ["temperature"] = 0 };
        body[kind.StartsWith("chat", StringComparison.Ordinal) ? "max_tokens" : "max_output_tokens"] = MaxTokens;
        if (isStreamed) body["stream"] = true;
        switch (kind.Replace("-stream", "", StringComparison.Ordinal))
        {
            case "chat":
                body["messages"] = new JsonArray(new JsonObject { ["role"] = "user", ["content"] = "a" });
                request.Send("/v1/chat/completions", body);
                break;
            case "response":
                body["input"] = "a";
                request.Send("/v1/responses", body);
                break;
            case "background":
                body["input"] = "a";
                body["background"] = true;
                await request.CreateAsync(body, isStreamed);
                break;
            case "waiting-job":
                request.Send($"/v2/{endpoint}/runsync?wait=300000", new JsonObject { ["input"] = Text(false) });
                break;
            default:
                request.job = await new Jobs(gateway, endpoint).RunAsync(Text(isStreamed));
                break;
        }

        return request;
    }

    /// <summary>Cancels the job or response by a call, or closes the connection.</summary>
    public async Task CancelAsync()
    {
        if (job is null && response is null)
        {
            await gone.CancelAsync();
            return;
        }

        using var cancelled = await CallCancelAsync();
        Assert.True(cancelled.IsSuccessStatusCode, await cancelled.Content.ReadAsStringAsync());
    }

    /// <summary>Waits for the end, and checks it.</summary>
    public async Task EndAsync(Cause cause)
    {
        if (job is not null)
        {
            var ended = await new Jobs(gateway, endpoint).EndAsync(job);
            Assert.Equal(cause == Cause.Cancelled ? "CANCELLED" : "TIMED_OUT", (string?)ended["status"]);
        }
        else if (response is not null)
        {
            await gateway.UntilAsync($"/v1/responses/{response}",
                r => (string?)r["status"] == (cause == Cause.Cancelled ? "cancelled" : "failed"));
        }
        else if (cause == Cause.ClientGone)
        {
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => sent!);
        }
        else
        {
            // A stream that has begun is aborted: it must not look complete.
            var (status, body) = await sent!;
            Assert.True(status is HttpStatusCode.GatewayTimeout or 0, $"{status}: {body}");
        }
    }

    public async ValueTask DisposeAsync()
    {
        await gone.CancelAsync();
        // A failed test has not cancelled it, and the next test needs an idle engine.
        if (job is not null || response is not null) (await CallCancelAsync()).Dispose();
        if (sent is not null) await Task.WhenAny(sent);
        gone.Dispose();
    }

    private Task<HttpResponseMessage> CallCancelAsync() => job is not null
        ? new Jobs(gateway, endpoint).PostAsync($"cancel/{job}")
        : gateway.Client.PostAsync(new Uri($"/v1/responses/{response}/cancel", UriKind.Relative), null);

    private void Send(string path, JsonObject body) => sent = SendAsync(path, body);

    private async Task<(HttpStatusCode Status, string Body)> SendAsync(string path, JsonObject body)
    {
        using var message = new HttpRequestMessage(HttpMethod.Post, path) { Content = JsonContent.Create(body) };
        using var answer = await gateway.Client.SendAsync(
            message, HttpCompletionOption.ResponseHeadersRead, gone.Token);
        try
        {
            return (answer.StatusCode, await answer.Content.ReadAsStringAsync(gone.Token));
        }
        catch (HttpRequestException e)
        {
            return (0, e.Message);
        }
    }

    /// <summary>Creates a response in the background. The first event of a stream has its id.</summary>
    private async Task CreateAsync(JsonObject body, bool isStreamed)
    {
        using var message = new HttpRequestMessage(HttpMethod.Post, "/v1/responses")
        {
            Content = JsonContent.Create(body),
        };
        using var answer = await gateway.Client.SendAsync(message, HttpCompletionOption.ResponseHeadersRead);
        Assert.True(answer.IsSuccessStatusCode);
        var created = isStreamed
            ? JsonNode.Parse((await Events.ReadAsync(await answer.Content.ReadAsStreamAsync(), 1))[0]
                .Split('|', 3)[2])!["response"]!
            : (await answer.Content.ReadFromJsonAsync<JsonNode>())!;
        response = (string)created["id"]!;
    }
}
