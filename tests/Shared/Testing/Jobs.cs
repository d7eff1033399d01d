using System.Net;
using System.Text.Json.Nodes;
using Xunit;

namespace Sluice.Testing;

/// <summary>A client of the jobs API of a gateway, with a list of the accepted jobs.</summary>
public sealed class Jobs(RunningGateway gateway, string endpoint = "stub", HttpClient? client = null)
{
    private readonly HttpClient client = client ?? gateway.Client;

    /// <summary>Longer than any test waits for one job. A job that is lost is then a failure, not a hang.</summary>
    private static readonly TimeSpan LongestWait = TimeSpan.FromMinutes(20);

    public static readonly string[] Final = ["COMPLETED", "FAILED", "CANCELLED", "TIMED_OUT"];

    /// <summary>
    /// A manifest with the endpoint "stub". Its worker executes the instructions in the input of a job, and writes its
    /// executions to <paramref name="log"/>.
    /// </summary>
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

    public static string Body(JsonNode input, string more = "") =>
        $$"""{"input":{{input.ToJsonString()}}{{(more.Length > 0 ? "," + more : "")}}}""";

    public Task<HttpResponseMessage> PostAsync(string path, string body = "") =>
        client.PostAsync(new Uri($"/v2/{endpoint}/{path}", UriKind.Relative), new StringContent(body));

    public async Task<JsonObject> GetAsync(string path)
    {
        using var answer = await client.GetAsync(new Uri($"/v2/{endpoint}/{path}", UriKind.Relative));
        return await ReadAsync(answer, HttpStatusCode.OK);
    }

    /// <summary>Waits until a job has ended, with long polls, and returns it.</summary>
    public async Task<JsonObject> EndAsync(string id)
    {
        var started = TimeProvider.System.GetTimestamp();
        var since = started;
        while (true)
        {
            Assert.True(TimeProvider.System.GetElapsedTime(started) < LongestWait, $"job {id} did not end");
            using var answer = await client.GetAsync(new Uri($"/v2/{endpoint}/status-sync/{id}?wait=5000",
                UriKind.Relative));
            if (answer.StatusCode == HttpStatusCode.ServiceUnavailable)
            {
                // A result that stays unavailable is a failure, not a reason to wait for ever.
                Assert.True(TimeProvider.System.GetElapsedTime(since) < 2 * ChildProcess.Patience,
                    await answer.Content.ReadAsStringAsync());
                continue;
            }

            since = TimeProvider.System.GetTimestamp();
            var job = await ReadAsync(answer, HttpStatusCode.OK);
            if (Final.Contains((string)job["status"]!)) return job;
        }
    }

    /// <summary>Waits until a job has the status.</summary>
    public Task<JsonObject> StatusAsync(string id, string status) => Eventually.BecomesAsync(
        async () =>
        {
            var job = await GetAsync($"status/{id}");
            Assert.False(Final.Contains((string)job["status"]!) && !Final.Contains(status),
                $"waiting for {status}, but it is {job}");
            return job;
        },
        j => (string?)j["status"] == status, status);

    /// <summary>
    /// Waits until the invariant check succeeds and no job is queued or running. With <paramref name="waits"/>, it
    /// waits only for the check.
    /// </summary>
    public Task QuietAsync(bool waits = false) => Eventually.BecomesAsync(
        async () =>
        {
            using var answer = await client.GetAsync(new Uri($"/v2/{endpoint}/health", UriKind.Relative));
            // After an outage of Redis, a gateway responds with 503 until it has reconnected.
            if (answer.StatusCode == HttpStatusCode.ServiceUnavailable) return (Left: -1, Check: null);
            var health = (await ReadAsync(answer, HttpStatusCode.OK))["jobs"]!;
            return (Left: (int)health["inQueue"]! + (int)health["inProgress"]!,
                Check: (JsonObject?)await gateway.GetAsync($"/api/v1/admin/check?endpoint={endpoint}"));
        },
        seen => (waits || seen.Left == 0) && (bool?)seen.Check?["ok"] == true, $"endpoint {endpoint} is quiet");

    private static async Task<JsonObject> ReadAsync(HttpResponseMessage answer, HttpStatusCode expected)
    {
        var text = await answer.Content.ReadAsStringAsync();
        Assert.True(answer.StatusCode == expected, $"{(int)answer.StatusCode}: {text}");
        return JsonNode.Parse(text)!.AsObject();
    }
}
