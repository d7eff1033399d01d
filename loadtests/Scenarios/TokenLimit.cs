using System.Globalization;
using System.Net;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json.Nodes;
using Sluice.Testing;

namespace Sluice.Scenarios;

/// <summary>
/// 64 clients with one key that may use 10,000 tokens per minute send chats as fast as they may. A quarter of them
/// abort their streams. The sum of what was granted must be at most 1 % above the limit, and equal to what the engine
/// of the worker counted.
/// </summary>
public sealed class TokenLimit(int seconds) : IAsyncDisposable
{
    private const int Clients = 64;
    private const int Limit = 10_000;

    private static readonly string[] Invoke = ["story"];

    private long sent, refused, aborted;
    private GatewayProcess? gateway;

    /// <summary>Runs the load, and returns the report.</summary>
    public async Task<string> RunAsync(CancellationToken ct)
    {
        gateway = await GatewayProcess.StartAsync("""
            templates:
              - { name: onnx-cpu, concurrency: 64 }
            endpoints:
              - { id: story, template: onnx-cpu, scaling: { min: 1, max: 1, idleTimeout: 600s } }
            """);
        using var client = await CreateClientAsync(ct);
        // The window begins with the first reservation.
        await SendAsync(client, 1, isAborted: false, new Random(1), ct);
        var started = TimeProvider.System.GetTimestamp();
        using var end = CancellationTokenSource.CreateLinkedTokenSource(ct);
        end.CancelAfter(TimeSpan.FromSeconds(seconds));
        await Task.WhenAll(Enumerable.Range(0, Clients).Select(i => RunClientAsync(client, i, end.Token)));
        var took = TimeProvider.System.GetElapsedTime(started);
        return await ReportAsync(took, ct);
    }

    public async ValueTask DisposeAsync()
    {
        if (gateway is not null) await gateway.DisposeAsync();
    }

    private async Task<HttpClient> CreateClientAsync(CancellationToken ct)
    {
        using var created = await gateway!.Client.PostAsJsonAsync("/api/v1/keys",
            new { name = "limited", invoke = Invoke, tokensPerMinute = Limit }, ct);
        return gateway.ClientFor((string)(await created.Content.ReadFromJsonAsync<JsonObject>(ct))!["key"]!);
    }

    private async Task RunClientAsync(HttpClient client, int number, CancellationToken end)
    {
        var random = new Random(number);
        while (!end.IsCancellationRequested)
        {
            var wait = await SendAsync(client, random.Next(10, 200), isAborted: number % 4 == 0, random, end);
            try
            {
                if (wait > TimeSpan.Zero) await Task.Delay(wait, TimeProvider.System, end);
            }
            catch (OperationCanceledException)
            {
                return;
            }
        }
    }

    /// <summary>Sends a chat. A request that has begun is completed, or aborted as planned.</summary>
    /// <returns>The time to wait after a refusal.</returns>
    private async Task<TimeSpan> SendAsync(
        HttpClient client, int maxTokens, bool isAborted, Random random, CancellationToken ct)
    {
        var body = new JsonObject
        {
            ["model"] = "story",
            ["messages"] = new JsonArray(new JsonObject { ["role"] = "user", ["content"] = $"Story {maxTokens}" }),
            ["max_tokens"] = maxTokens,
            ["stream"] = isAborted,
            ["ignore_eos"] = true,
        };
        using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/chat/completions")
        {
            Content = new StringContent(body.ToJsonString(), Encoding.UTF8, "application/json"),
        };
        using var response = await client.SendAsync(
            request, HttpCompletionOption.ResponseHeadersRead, CancellationToken.None);
        if (response.StatusCode == HttpStatusCode.TooManyRequests)
        {
            Interlocked.Increment(ref refused);
            return TimeSpan.FromMilliseconds(double.Parse(
                response.Headers.GetValues("retry-after-ms").Single(), CultureInfo.InvariantCulture));
        }

        if (response.StatusCode != HttpStatusCode.OK)
            throw new InvalidOperationException(
                $"The status is {response.StatusCode}: {await response.Content.ReadAsStringAsync(ct)}");
        Interlocked.Increment(ref sent);
        await using var stream = await response.Content.ReadAsStreamAsync(CancellationToken.None);
        using var reader = new StreamReader(stream);
        var lines = isAborted ? 2 * random.Next(1, maxTokens) : int.MaxValue;
        while (lines-- > 0 && await reader.ReadLineAsync(CancellationToken.None) is not null)
        {
            // The response is only counted.
        }

        if (isAborted) Interlocked.Increment(ref aborted);
        return TimeSpan.Zero;
    }

    private async Task<string> ReportAsync(TimeSpan took, CancellationToken ct)
    {
        double generated = -1, prompt = 0, engine = 0;
        // The last aborted streams are settled when the engine has ended them.
        for (var i = 0; i < 300 && generated != engine; i++)
        {
            generated = await gateway!.MetricAsync("sluice_tokens_total", "endpoint=\"story\"");
            prompt = await gateway.MetricAsync("sluice_tokens_prompt_total", "endpoint=\"story\"");
            engine = await gateway.MetricAsync("vllm:generation_tokens_total", "story", "/metrics/workers");
            if (generated != engine) await Task.Delay(TimeSpan.FromMilliseconds(100), TimeProvider.System, ct);
        }

        // No request is granted after these seconds.
        var allowed = Limit * Math.Ceiling(seconds / 60.0);
        var granted = generated + prompt;
        var wasted = await gateway!.MetricAsync("sluice_tokens_wasted_total", "endpoint=\"story\"");
        return string.Create(CultureInfo.InvariantCulture, $"""
            {Clients} clients, {Limit} tokens per minute, {took.TotalSeconds:0} s.

            | what | seen |
            |---|---|
            | requests granted; refused; streams that their clients aborted | {sent}; {refused}; {aborted} |
            | **tokens granted** (prompts {prompt:0}, generated {generated:0}) | **{granted:0}** |
            | the limits of {allowed / Limit:0} minutes | {allowed:0} |
            | **granted of the limits** | **{granted / allowed:P2}** |
            | generated tokens that the engine counted | {engine:0} |
            | of them wasted, because the client had left | {wasted:0} |

            """);
    }
}
