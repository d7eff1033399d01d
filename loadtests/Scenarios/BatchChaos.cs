using System.Globalization;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json.Nodes;
using Sluice.Testing;

namespace Sluice.Scenarios;

/// <summary>
/// Runs one batch at two gateways on one Redis while gateways, workers and Redis are killed (SIGKILL). At the end, each
/// line must be in the output once, with the response to its own request. The seed decides what is killed and when.
/// </summary>
public sealed class BatchChaos(int lines, int kills, int seed) : IAsyncDisposable
{
    private static readonly TimeSpan Settle = TimeSpan.FromMinutes(10);
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(20);

    private readonly string log = Path.GetTempFileName();
    private readonly string payloads = Directory.CreateTempSubdirectory("sluice-payloads-").FullName;
    private readonly RedisFixture redis = new();
    private readonly Random random = new(seed);
    private readonly GatewayProcess?[] gateways = new GatewayProcess?[2];
    private readonly Dictionary<string, int> done = new() { ["worker"] = 0, ["gateway"] = 0, ["redis"] = 0 };

    /// <summary>Runs the batch, and returns the report.</summary>
    public async Task<string> RunAsync(CancellationToken ct)
    {
        Console.Error.WriteLine($"seed {seed}: {lines} lines, {kills} kills");
        await redis.InitializeAsync();
        for (var i = 0; i < gateways.Length; i++) gateways[i] = await StartAsync();
        var started = TimeProvider.System.GetTimestamp();
        var id = await CreateAsync(ct);
        for (var kill = 0; kill < kills; kill++)
        {
            // In step with the lines, so that the kills fall all over them.
            while (await EndedAsync(id, ct) is var (ended, status) && ended < (long)lines * kill / kills)
            {
                if (status is "completed" or "failed")
                    throw new InvalidOperationException($"The batch is {status} after {kill} kills");
                await Task.Delay(Pause, TimeProvider.System, ct);
            }

            while (!await KillAsync(random.Next(100), ct)) await Task.Delay(Pause, TimeProvider.System, ct);
        }

        using var limit = CancellationTokenSource.CreateLinkedTokenSource(ct);
        limit.CancelAfter(Settle);
        while ((await EndedAsync(id, limit.Token)).Status != "completed")
            await Task.Delay(Pause, TimeProvider.System, limit.Token);
        return await JudgeAsync(id, TimeProvider.System.GetElapsedTime(started), ct);
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var gateway in gateways)
            if (gateway is not null) await gateway.DisposeAsync();
        await redis.DisposeAsync();
        StubLog.Delete(log);
        Directory.Delete(payloads, recursive: true);
    }

    private Task<GatewayProcess> StartAsync() => GatewayProcess.StartAsync($$"""
        templates:
          - name: stub
            command: ["{{Repository.StubWorker}}"]
            concurrency: 8
            readyPath: /ready
            env: { STUB_LOG: "{{log}}" }
            stopGrace: 1s
        endpoints:
          - id: stub
            template: stub
            scaling: { min: 2, max: 2, idleTimeout: 600s }
            jobs: { maxRuns: 100 }
        """, environment: new Dictionary<string, string?>
        {
            ["SLUICE_REDIS"] = redis.ConnectionString,
            ["SLUICE_ADMIN_KEY"] = "one-admin-key-of-all-gateways",
            ["SLUICE_PAYLOADS"] = payloads,
            ["SLUICE_POLL_RATE"] = "0",
        });

    private async Task<string> CreateAsync(CancellationToken ct)
    {
        var client = gateways[0]!.Client;
        var rows = new StringBuilder();
        for (var n = 0; n < lines; n++)
            rows.Append(CultureInfo.InvariantCulture,
                $"{{\"custom_id\":\"{n}\",\"method\":\"POST\",\"url\":\"/v1/embeddings\",")
                .Append(CultureInfo.InvariantCulture, $"\"body\":{{\"model\":\"stub\",\"n\":{n},\"ms\":{n % 10}}}}}\n");
        using var file = new ByteArrayContent(Encoding.UTF8.GetBytes(rows.ToString()));
        file.Headers.ContentType = new MediaTypeHeaderValue("application/jsonl");
        using var form = new MultipartFormDataContent
        {
            { new StringContent("batch"), "purpose" },
            { file, "file", "rows" },
        };
        using var stored = await client.PostAsync(new Uri("/v1/files", UriKind.Relative), form, ct);
        var input = (string)(await stored.Content.ReadFromJsonAsync<JsonObject>(ct))!["id"]!;
        using var created = await client.PostAsJsonAsync("/v1/batches",
            new { input_file_id = input, endpoint = "/v1/embeddings", completion_window = "24h" }, ct);
        return (string)(await created.Content.ReadFromJsonAsync<JsonObject>(ct))!["id"]!;
    }

    /// <summary>Returns the lines in the output, and the status; -1 while no gateway can say it.</summary>
    private async Task<(int Lines, string Status)> EndedAsync(string id, CancellationToken ct)
    {
        try
        {
            using var limit = CancellationTokenSource.CreateLinkedTokenSource(ct);
            limit.CancelAfter(TimeSpan.FromSeconds(10));
            var client = gateways[random.Next(2)]!.Client;
            var batch = (await client.GetFromJsonAsync<JsonObject>($"/v1/batches/{id}", limit.Token))!;
            return ((int)batch["request_counts"]!["completed"]!, (string)batch["status"]!);
        }
        catch (Exception e) when (e is HttpRequestException or IOException or TaskCanceledException
            && !ct.IsCancellationRequested)
        {
            // Redis was killed a moment ago.
            return (-1, "");
        }
    }

    private async Task<bool> KillAsync(int what, CancellationToken ct)
    {
        if (what < 20)
        {
            await redis.KillAsync();
            await redis.StartAsync();
            done["redis"]++;
        }
        else if (what < 55)
        {
            var at = random.Next(gateways.Length);
            var victim = gateways[at]!;
            victim.Process.Signal(ChildProcess.Sigkill);
            await victim.Process.ExitAsync();
            await victim.DisposeAsync();
            gateways[at] = await StartAsync();
            done["gateway"]++;
        }
        else
        {
            return await KillWorkerAsync(ct);
        }

        return true;
    }

    private async Task<bool> KillWorkerAsync(CancellationToken ct)
    {
        try
        {
            var ready = await gateways[0]!.WorkersAsync("stub", "ready");
            if (ready.Count == 0) return false;
            ChildProcess.Signal((int)ready[random.Next(ready.Count)]["processId"]!, ChildProcess.Sigkill);
            done["worker"]++;
            return true;
        }
        catch (Exception e) when (e is HttpRequestException or IOException && !ct.IsCancellationRequested)
        {
            return false;
        }
    }

    private async Task<string> JudgeAsync(string id, TimeSpan took, CancellationToken ct)
    {
        var client = gateways[0]!.Client;
        var batch = (await client.GetFromJsonAsync<JsonObject>($"/v1/batches/{id}", ct))!;
        var content = new Uri($"/v1/files/{batch["output_file_id"]}/content", UriKind.Relative);
        var text = await client.GetStringAsync(content, ct);
        var rows = text.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(l => JsonNode.Parse(l)!).ToList();
        var seen = rows.GroupBy(r => int.Parse((string)r["custom_id"]!, CultureInfo.InvariantCulture))
            .ToDictionary(g => g.Key, g => g.Count());
        var wrong = rows.Count(r => (string)r["custom_id"]! != r["response"]!["body"]!["body"]!["n"]!.ToString());
        var begun = StubLog.Lines(log).Count(l => l.StartsWith("begin ", StringComparison.Ordinal));
        var check = await gateways[0]!.GetAsync("/api/v1/admin/check");
        var report = new StringBuilder();
        report.AppendLine(CultureInfo.InvariantCulture, $"Seed {seed}, {took.TotalSeconds:0} s.").AppendLine();
        report.AppendLine("| what | seen |").AppendLine("|---|---|");
        Row("killed", string.Join(", ", done.Select(d => $"{d.Value} {d.Key}")));
        Row("lines in the output", $"{rows.Count} of {lines}");
        Row("**missing lines**", $"**{Enumerable.Range(0, lines).Count(n => !seen.ContainsKey(n))}**");
        Row("**lines more than once**", $"**{seen.Count(s => s.Value > 1)}**");
        Row("responses to another line", $"{wrong}");
        Row("file of errors", (string?)batch["error_file_id"] ?? "none");
        Row("requests that workers began", $"{begun}");
        Row("invariant checker", (bool)check["ok"]! ? "nothing found" : check.ToJsonString());
        return report.ToString();

        void Row(string what, string value) => report.AppendLine(CultureInfo.InvariantCulture, $"| {what} | {value} |");
    }
}
