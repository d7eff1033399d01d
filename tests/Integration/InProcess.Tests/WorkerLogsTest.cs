using System.Net;
using System.Net.Http.Json;
using System.Text.Json.Nodes;
using Sluice.Testing;

namespace Sluice.InProcess.Tests;

/// <summary>Tests that the output of a worker is read while it runs, and after it has ended.</summary>
public sealed class WorkerLogsTest
{
    private const string Manifest = """
        templates:
          - name: talker
            protocol: http1
            startTimeout: 1h
            command: [/bin/sh, -c, "echo one; echo two; echo three >&2; read line < $1; echo $line; exit 3", sh, GATE]
        endpoints:
          - { id: talk, template: talker, scaling: { min: 1, max: 1 } }

        """;

    [Fact]
    public async Task A_log_is_followed_while_the_worker_runs_and_read_after_it_has_ended()
    {
        var folder = Directory.CreateTempSubdirectory("sluice-talker-");
        var gate = Path.Combine(folder.FullName, "gate");
        Assert.Equal(0, await RunAsync("mkfifo", gate));
        await using var gateway = await InProcessGateway.StartAsync(
            Manifest.Replace("GATE", gate, StringComparison.Ordinal));
        var worker = await Eventually.BecomesAsync(async () => await WorkerAsync(gateway), w => w is not null);
        var path = $"/api/v1/endpoints/talk/workers/{worker}/logs";
        await Eventually.BecomesAsync(() => LinesAsync(gateway, path), l => l.Count == 3);
        Assert.Equal(["one", "three", "two"], (await LinesAsync(gateway, path)).Order());
        Assert.Single(await LinesAsync(gateway, path + "?tail=1"));
        Assert.Equal(["two"], await LinesAsync(gateway, path + "?requestId=tw"));
        Assert.Equal(["two"], await LinesAsync(gateway, path + "?tail=1&requestId=tw"));
        Assert.Empty(await LinesAsync(gateway, path + "?requestId=four"));

        await EndsWithTheKeyAsync(gateway, path);

        using var request = new HttpRequestMessage(HttpMethod.Get, path + "?follow=true&tail=1");
        using var followed = await gateway.Client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
        Assert.Equal("text/event-stream", followed.Content.Headers.ContentType!.MediaType);
        using var reader = new StreamReader(await followed.Content.ReadAsStreamAsync());
        var first = (await reader.ReadLineAsync())!;
        await File.WriteAllTextAsync(gate, "the last words\n");
        var rest = await reader.ReadToEndAsync();
        Assert.Contains("the last words", rest, StringComparison.Ordinal);
        Assert.EndsWith("event: end\ndata: {}\n\n", rest, StringComparison.Ordinal);

        // The worker has ended; a client that reconnects gets what it missed.
        var lines = await LinesAsync(gateway, path);
        Assert.Equal("the last words", lines[^2]);
        Assert.StartsWith("Failed: exit code 3", lines[^1], StringComparison.Ordinal);
        using var again = new HttpRequestMessage(HttpMethod.Get, path + "?follow=true");
        again.Headers.Add("Last-Event-ID", first["id: ".Length..]);
        using var resumed = await gateway.Client.SendAsync(again);
        Assert.Equal(3, (await resumed.Content.ReadAsStringAsync()).Split("data: ").Length - 1);
        var ofWords = await gateway.Client.GetStringAsync(
            new Uri(path + "?follow=true&requestId=words", UriKind.Relative));
        // The reason has the last output too.
        Assert.Equal(["the last words", lines[^1]], ofWords.Split('\n')
            .Where(l => l.StartsWith("data: {\"id", StringComparison.Ordinal))
            .Select(l => (string?)JsonNode.Parse(l["data: ".Length..])!["text"]));
        var listed = await gateway.Client.GetFromJsonAsync<JsonObject>("/api/v1/endpoints/talk/logs");
        var entry = Assert.Single(listed!["logs"]!.AsArray(), l => (string?)l!["worker"] == worker)!;
        Assert.Equal(lines[^1], (string?)entry["reason"]);
        folder.Delete(recursive: true);
    }

    [Fact]
    public async Task The_log_of_a_stopped_worker_ends_with_the_reason()
    {
        await using var gateway = await InProcessGateway.StartAsync(
            Jobs.Manifest("/dev/null").Replace("idleTimeout: 600s", "idleTimeout: 1s", StringComparison.Ordinal));
        var jobs = new Jobs(gateway);
        var job = await jobs.EndAsync(await jobs.RunAsync(JsonNode.Parse("""{"do":"echo"}""")!));
        var path = $"/api/v1/endpoints/stub/workers/{job["workerId"]}/logs";
        var lines = await Eventually.BecomesAsync(
            async () => (await gateway.Client.GetFromJsonAsync<JsonObject>(path))!["lines"]!.AsArray(),
            l => l.Count > 0 && (string?)l[^1]!["source"] == "system");
        Assert.StartsWith(
            "Stopped, no longer needed, drained: ", (string?)lines[^1]!["text"], StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_failed_job_names_the_log_of_its_worker()
    {
        await using var gateway = await InProcessGateway.StartAsync(Jobs.Manifest("/dev/null"));
        var jobs = new Jobs(gateway);
        var job = await jobs.EndAsync(await jobs.RunAsync(JsonNode.Parse("""{"do":"error"}""")!));
        Assert.Equal("FAILED", (string?)job["status"]);
        Assert.Equal($"/api/v1/endpoints/stub/workers/{job["workerId"]}/logs", (string?)job["log"]);
        await Eventually.BecomesAsync(() => LinesAsync(gateway, (string)job["log"]!), l => l.Contains("ready"));
    }

    [Theory]
    [InlineData("/api/v1/endpoints/talk/workers/none/logs", HttpStatusCode.NotFound, "no worker 'none'")]
    [InlineData("/api/v1/endpoints/a}b/workers/none/logs", HttpStatusCode.NotFound, "no worker 'none'")]
    [InlineData("/api/v1/endpoints/talk/workers/w/logs?tail=1001", HttpStatusCode.BadRequest, "tail is '1001'")]
    [InlineData("/api/v1/endpoints/talk/workers/w/logs?follow=yes", HttpStatusCode.BadRequest, "follow is 'yes'")]
    public async Task The_error_names_what_is_wrong(string path, HttpStatusCode status, string expected)
    {
        await using var gateway = await InProcessGateway.StartAsync("templates: []\nendpoints: []\n");
        using var answer = await gateway.Client.GetAsync(new Uri(path, UriKind.Relative));
        Assert.Equal(status, answer.StatusCode);
        Assert.Contains(expected, await answer.Content.ReadAsStringAsync(), StringComparison.Ordinal);
    }

    /// <summary>The worker runs and its log continues, but the key of the reader was revoked.</summary>
    private static async Task EndsWithTheKeyAsync(InProcessGateway gateway, string path)
    {
        using var created = await gateway.Client.PostAsync("/api/v1/keys", new StringContent("""{"read":true}"""));
        var key = JsonNode.Parse(await created.Content.ReadAsStringAsync())!;
        using var client = gateway.ClientFor((string)key["key"]!);
        await using var stream = await client.GetStreamAsync(new Uri(path + "?follow=true", UriKind.Relative));
        using var reader = new StreamReader(stream);
        Assert.StartsWith("id: ", await reader.ReadLineAsync(), StringComparison.Ordinal);
        using var revoked = await gateway.Client.DeleteAsync(
            new Uri($"/api/v1/keys/{key["record"]!["id"]}", UriKind.Relative));
        Assert.True(revoked.IsSuccessStatusCode);
        var rest = await reader.ReadToEndAsync().WaitAsync(ChildProcess.Patience);
        Assert.DoesNotContain("event: end", rest, StringComparison.Ordinal);
    }

    private static async Task<string?> WorkerAsync(InProcessGateway gateway) =>
        (string?)(await gateway.Client.GetFromJsonAsync<JsonObject>("/api/v1/endpoints/talk/workers"))!["workers"]!
            .AsArray().FirstOrDefault()?["id"];

    private static async Task<List<string>> LinesAsync(InProcessGateway gateway, string path) =>
        [
            .. (await gateway.Client.GetFromJsonAsync<JsonObject>(path))!["lines"]!.AsArray()
                .Select(l => (string)l!["text"]!),
        ];

    private static async Task<int> RunAsync(string program, string argument)
    {
        using var process = System.Diagnostics.Process.Start(program, argument);
        await process.WaitForExitAsync();
        return process.ExitCode;
    }
}
