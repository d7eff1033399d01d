using System.Net;
using System.Net.Http.Json;
using System.Text.Json.Nodes;
using Sluice.Testing;

namespace Sluice.WholeProduct.Tests;

/// <summary>A gateway's job API, as a test's client sees it, with the ledger of what was accepted.</summary>
internal sealed class Jobs(GatewayProcess gateway, string endpoint = "stub", HttpClient? client = null)
{
    private readonly HttpClient client = client ?? gateway.Client;

    public static readonly string[] Final = ["COMPLETED", "FAILED", "CANCELLED", "TIMED_OUT"];

    /// <summary>An endpoint "stub" whose worker does what a job's input says; its executions stand in <paramref name="log"/>.</summary>
    public static string Manifest(string log, int max = 1, int concurrency = 8, string more = "", string scaling = "") => $$"""
        templates:
          - name: stub
            command: ["{{Repository.StubWorker}}"]
            concurrency: {{concurrency}}
            readyPath: /ready
            env: { STUB_LOG: "{{log}}", DOTNET_TieredPGO: "0", DOTNET_gcServer: "0" }
            stopGrace: 1s
        endpoints:
          - { id: stub, template: stub, scaling: { max: {{max}}, idleTimeout: 600s{{scaling}} }{{(more.Length > 0 ? ", " + more : "")}} }
        """;

    public async Task<string> RunAsync(JsonNode input, string more = "")
    {
        using var answer = await PostAsync("run", Body(input, more));
        return (string)(await ReadAsync(answer, HttpStatusCode.OK))["id"]!;
    }

    public async Task<JsonObject> RunSyncAsync(JsonNode input, string more = "", int waitMs = 60000)
    {
        using var answer = await PostAsync($"runsync?wait={waitMs}", Body(input, more));
        return await ReadAsync(answer, HttpStatusCode.OK);
    }

    public static string Body(JsonNode input, string more = "") => $$"""{"input":{{input.ToJsonString()}}{{(more.Length > 0 ? "," + more : "")}}}""";

    public Task<HttpResponseMessage> PostAsync(string path, string body = "") =>
        client.PostAsync(new Uri($"/v2/{endpoint}/{path}", UriKind.Relative), new StringContent(body));

    public async Task<JsonObject> GetAsync(string path)
    {
        using var answer = await client.GetAsync(new Uri($"/v2/{endpoint}/{path}", UriKind.Relative));
        return await ReadAsync(answer, HttpStatusCode.OK);
    }

    /// <summary>The job when it has ended; long polls, so the end itself is the signal.</summary>
    public async Task<JsonObject> EndAsync(string id)
    {
        while (true)
        {
            using var answer = await client.GetAsync(new Uri($"/v2/{endpoint}/status-sync/{id}?wait=5000", UriKind.Relative));
            if (answer.StatusCode == HttpStatusCode.ServiceUnavailable) continue;
            var job = await ReadAsync(answer, HttpStatusCode.OK);
            if (Final.Contains((string)job["status"]!)) return job;
        }
    }

    /// <summary>Waits until the job is in this status.</summary>
    public async Task<JsonObject> StatusAsync(string id, string status)
    {
        using var limit = new CancellationTokenSource(ChildProcess.Patience, TimeProvider.System);
        while (true)
        {
            var job = await GetAsync($"status/{id}");
            if ((string?)job["status"] == status) return job;
            Assert.False(Final.Contains((string)job["status"]!) && !Final.Contains(status), $"waiting for {status}, but it is {job}");
            await Task.Delay(TimeSpan.FromMilliseconds(10), TimeProvider.System, limit.Token);
        }
    }

    /// <summary>Waits until the invariant checker finds nothing and nothing waits or runs; or, with <paramref name="waits"/>, only for the checker.</summary>
    public async Task QuietAsync(bool waits = false)
    {
        using var limit = new CancellationTokenSource(ChildProcess.Patience, TimeProvider.System);
        JsonNode? last = null;
        try
        {
            while (true)
            {
                using var answer = await client.GetAsync(new Uri($"/v2/{endpoint}/health", UriKind.Relative), limit.Token);
                // After an outage of Redis, a gateway answers 503 until it is connected again.
                if (answer.StatusCode == HttpStatusCode.ServiceUnavailable) continue;
                var health = (await ReadAsync(answer, HttpStatusCode.OK))["jobs"]!;
                last = await gateway.GetAsync($"/api/v1/admin/check?endpoint={endpoint}");
                if ((waits || (int)health["inQueue"]! + (int)health["inProgress"]! == 0) && (bool)last["ok"]!) return;
                await Task.Delay(TimeSpan.FromMilliseconds(20), TimeProvider.System, limit.Token);
            }
        }
        catch (OperationCanceledException)
        {
            Assert.Fail($"it did not become quiet: {last}");
        }
    }

    private static async Task<JsonObject> ReadAsync(HttpResponseMessage answer, HttpStatusCode expected)
    {
        var text = await answer.Content.ReadAsStringAsync();
        Assert.True(answer.StatusCode == expected, $"{(int)answer.StatusCode}: {text}");
        return JsonNode.Parse(text)!.AsObject();
    }
}
