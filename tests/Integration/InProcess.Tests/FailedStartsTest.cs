using System.Net;
using System.Text.Json.Nodes;
using Sluice.Testing;

namespace Sluice.InProcess.Tests;

/// <summary>Workers that fail to start: what clients are told, and how the endpoint comes back.</summary>
public sealed class FailedStartsTest
{
    private const string Workers = "/api/v1/endpoints/stub/workers";

    [Trait("Needs", "publish")]
    [Fact]
    public async Task An_endpoint_whose_model_was_missing_serves_by_itself_after_the_folder_is_there()
    {
        var models = Directory.CreateTempSubdirectory("sluice-models-").FullName;
        var settings = InProcessGateway.WithWorker();
        settings["SLUICE_MODEL_REPOSITORY"] = models;
        try
        {
            await using var gateway = await InProcessGateway.StartAsync("""
                templates: [{ name: onnx }]
                endpoints: [{ id: digits, template: onnx, public: true, scaling: { min: 0, max: 1, idleTimeout: 600s } }]
                """, settings);
            var told = await AskAsync(gateway.Client);
            Assert.Equal(HttpStatusCode.ServiceUnavailable, told.Status);
            Assert.Contains("digits", told.Detail, StringComparison.Ordinal);
            Assert.InRange(told.RetryAfter!.Value, TimeSpan.FromSeconds(1), TimeSpan.FromMinutes(5));
            using var stranger = gateway.ClientFor(null);
            var anonymous = await AskAsync(stranger);
            Assert.Contains("The next attempt is at", anonymous.Detail, StringComparison.Ordinal);
            Assert.DoesNotContain("exit code", anonymous.Detail, StringComparison.Ordinal);

            // Nobody asks again: the refused requests are demand for the next try.
            CopyFolder(Path.Combine(Repository.Models, "digits"), Path.Combine(models, "digits"));
            await gateway.UntilAsync("/api/v1/endpoints/digits/workers", w => w["workers"]!.AsArray().Any(p => (string?)p!["state"] == "ready"));
            Assert.Equal(HttpStatusCode.OK, (await AskAsync(gateway.Client)).Status);
            Assert.Single((await gateway.GetAsync("/api/v1/endpoints/digits/workers"))["workers"]!.AsArray());
        }
        finally
        {
            Directory.Delete(models, recursive: true);
        }
    }

    [Fact]
    public async Task A_change_whose_workers_fail_does_not_end_the_idle_worker_and_shows_as_a_stuck_roll_out()
    {
        var manifest = $$"""
            templates:
              - name: stub
                command: ["/bin/sh", "-c", "if [ -n \"$BAD\" ]; then echo no such option; echo; exit 3; fi; exec {{Repository.StubWorker}}"]
                readyPath: /ready
                env: { DOTNET_TieredPGO: "0", DOTNET_gcServer: "0" }
                stopGrace: 1s
            endpoints:
              - { id: stub, template: stub, scaling: { min: 0, max: 1, idleTimeout: 600s } }
            """;
        await using var gateway = await InProcessGateway.StartAsync(manifest);
        var jobs = new Jobs(gateway);
        await jobs.RunSyncAsync(1);
        var old = (string)Assert.Single(await gateway.WorkersAsync("stub", "ready"))["id"]!;

        await File.WriteAllTextAsync(gateway.ManifestPath, manifest.Replace("template: stub,", "template: stub, env: { BAD: \"1\" },", StringComparison.Ordinal));
        var stuck = await gateway.UntilAsync("/api/v1/endpoints/stub", e => (int?)e["status"]!["rollout"]?["failures"] >= 3);
        Assert.Equal((1, 0, "exit code 3: no such option"), ((int)stuck["status"]!["rollout"]!["outdated"]!, (int)stuck["status"]!["rollout"]!["ready"]!,
            (string)stuck["status"]!["rollout"]!["reason"]!));
        Assert.Equal("COMPLETED", (string?)(await jobs.RunSyncAsync(2))["status"]);
        Assert.Equal(old, (string)Assert.Single(await gateway.WorkersAsync("stub", "ready"))["id"]!);

        await File.WriteAllTextAsync(gateway.ManifestPath, manifest.Replace("template: stub,", "template: stub, env: { GOOD: \"1\" },", StringComparison.Ordinal));
        var ready = await gateway.UntilAsync(Workers, w => w["workers"]!.AsArray() is [{ } one] && (string?)one["state"] == "ready" && (string?)one["id"] != old);
        // Failed workers of the earlier declaration are no longer listed, and nothing is under way.
        Assert.Null(ready["rollout"]);
        Assert.Equal("COMPLETED", (string?)(await jobs.RunSyncAsync(3))["status"]);
    }

    [Fact]
    public async Task A_server_that_speaks_the_other_protocol_is_told_so_in_seconds()
    {
        await using var gateway = await InProcessGateway.StartAsync("""
            templates: [{ name: files, command: [python3, -m, http.server, "{port}"], readyPath: / }]
            endpoints: [{ id: files, template: files, public: true, scaling: { max: 1 } }]
            """);
        using var stranger = gateway.ClientFor(null);
        var asked = await Task.WhenAll(GetAsync(gateway.Client, "/e/files/"), GetAsync(stranger, "/e/files/"));
        Assert.All(asked, a => Assert.Equal(HttpStatusCode.ServiceUnavailable, a.Status));
        Assert.Contains("the worker is ready over HTTP/1.1, but the template's protocol is h2c: set protocol: http1", asked[0].Detail, StringComparison.Ordinal);
        Assert.DoesNotContain("HTTP/1.1", asked[1].Detail, StringComparison.Ordinal);
        await gateway.Log.EventAsync(e => e.Is("WorkerFailed", ("Endpoint", "files"))
            && e["Why"].Contains("set protocol: http1", StringComparison.Ordinal), "WorkerFailed");
    }

    [Fact]
    public async Task A_request_that_waited_is_told_what_the_probe_saw_or_that_the_endpoint_is_paused()
    {
        await using var gateway = await InProcessGateway.StartAsync($$"""
            templates: [{ name: stub, command: ["{{Repository.StubWorker}}"], readyPath: /helth }]
            endpoints:
              - { id: stub, template: stub, public: true, queue: { timeout: 3s }, scaling: { max: 1 } }
              - { id: paused, template: stub, queue: { timeout: 1s }, scaling: { pause: QUEUE } }
            """);
        using var stranger = gateway.ClientFor(null);
        var asked = await Task.WhenAll(GetAsync(gateway.Client, "/e/stub/run"), GetAsync(stranger, "/e/stub/run"), GetAsync(gateway.Client, "/e/paused/run"));
        Assert.All(asked, a => Assert.Equal(HttpStatusCode.GatewayTimeout, a.Status));
        Assert.Matches("Worker stub-[0-9a-f]+ is starting: not ready: GET http://127.0.0.1:[0-9]+/helth over HTTP/2 .h2c.: status 404", asked[0].Detail);
        Assert.EndsWith(" A worker is starting.", asked[1].Detail, StringComparison.Ordinal);
        Assert.EndsWith(" The endpoint is paused: its scaling.pause is QUEUE.", asked[2].Detail, StringComparison.Ordinal);
        var worker = Assert.Single(await gateway.WorkersAsync("stub", "starting"));
        Assert.Contains("/helth over HTTP/2 (h2c): status 404", (string)worker["reason"]!, StringComparison.Ordinal);
        await gateway.Log.EventAsync(e => e.Is("WorkerNotReady", ("Endpoint", "stub"))
            && e["Probe"].Contains("/helth over HTTP/2 (h2c): status 404", StringComparison.Ordinal), "WorkerNotReady");
    }

    [Fact]
    public async Task The_last_lines_of_a_worker_that_serves_are_shown_with_control_characters_escaped()
    {
        await using var gateway = await InProcessGateway.StartAsync(Jobs.Manifest("/dev/null", scaling: ", min: 1")
            .Replace($"[\"{Repository.StubWorker}\"]", $"[/bin/sh, -c, \"printf 'loud\\\\033[1m\\\\n'; exec {Repository.StubWorker}\"]", StringComparison.Ordinal));
        await gateway.UntilAsync(Workers, w => w["workers"]!.AsArray() is [{ } one] && (string?)one["state"] == "ready"
            && one["lastOutput"]!.AsArray().Select(l => (string?)l).SequenceEqual(["loud\\u001b[1m", "ready"]));
    }

    [Fact]
    public async Task A_crash_loop_is_told_with_its_last_words_and_does_not_spin()
    {
        await using var gateway = await InProcessGateway.StartAsync("""
            templates:
              - { name: broken, command: [/bin/sh, -c, "echo no such model >&2; exit 7"] }
            endpoints:
              - { id: broken, template: broken, queue: { timeout: 30s } }
            """);

        using var answer = await gateway.Client.GetAsync("/e/broken/");

        Assert.Equal(HttpStatusCode.ServiceUnavailable, answer.StatusCode);
        var problem = JsonNode.Parse(await answer.Content.ReadAsStringAsync())!;
        Assert.Contains("exit code 7: no such model", (string?)problem["error"], StringComparison.Ordinal);
        Assert.NotNull(answer.Headers.RetryAfter);
        var workers = await gateway.WorkersAsync("broken", "failed");
        Assert.Equal(3, workers.Count);
        Assert.Contains("no such model", workers[^1]["lastOutput"]!.AsArray().Select(l => (string?)l));
        using var again = await gateway.Client.GetAsync("/e/broken/");
        Assert.Equal(HttpStatusCode.ServiceUnavailable, again.StatusCode);
        using var ready = await gateway.Client.GetAsync("/v2/models/broken/ready");
        Assert.Equal(HttpStatusCode.ServiceUnavailable, ready.StatusCode);
        // A fourth one when this took longer than the pause.
        Assert.InRange(gateway.Log.Entries.Count(e => e.Is("WorkerStarted")), 3, 5);
    }

    [Fact]
    public async Task Worker_output_is_shown_only_to_callers_with_a_key()
    {
        await using var gateway = await InProcessGateway.StartAsync("""
            templates:
              - { name: broken, command: [/bin/sh, -c, "echo token of the registry: s3cret >&2; exit 7"] }
            endpoints:
              - { id: broken, template: broken, public: true, queue: { timeout: 30s } }
            """);
        using var stranger = gateway.ClientFor(null);
        using var job = await stranger.PostAsync("/v2/broken/run", new StringContent("""{"input":{}}"""));
        var id = (string?)JsonNode.Parse(await job.Content.ReadAsStringAsync())!["id"];

        var told = await ErrorAsync(stranger, "/e/broken/");

        const string harmless = @"failed to start \d+ times\. The next attempt is at \d\d:\d\d:\d\d UTC\.$";
        Assert.Matches(harmless, told);
        Assert.Matches(harmless, await ErrorAsync(stranger, "/v2/models/broken/ready"));
        var status = await stranger.GetStringAsync($"/v2/broken/status/{id}");
        Assert.Contains("WORKER_CRASH_LOOP", status, StringComparison.Ordinal);
        Assert.DoesNotContain("s3cret", status, StringComparison.Ordinal);
        Assert.Contains("s3cret", await ErrorAsync(gateway.Client, "/e/broken/"), StringComparison.Ordinal);
        Assert.Contains("s3cret", await ErrorAsync(gateway.Client, "/v2/models/broken/ready"), StringComparison.Ordinal);

        static async Task<string> ErrorAsync(HttpClient client, string path)
        {
            using var answer = await client.GetAsync(path);
            Assert.Equal(HttpStatusCode.ServiceUnavailable, answer.StatusCode);
            return (string)JsonNode.Parse(await answer.Content.ReadAsStringAsync())!["error"]!;
        }
    }

    [Fact]
    public async Task A_full_queue_is_told_with_when_to_come_again_and_a_long_wait_ends()
    {
        await using var gateway = await InProcessGateway.StartAsync("""
            templates:
              - { name: slow, command: [/bin/sh, -c, "sleep 1000"], stopGrace: 100ms }
            endpoints:
              - { id: slow, template: slow, queue: { maxDepth: 3, timeout: 2s } }
              - { id: off, template: slow, scaling: { max: 0 } }
            """);

        var answers = await Task.WhenAll(Enumerable.Range(0, 5).Select(_ => gateway.Client.GetAsync(new Uri("/e/slow/", UriKind.Relative))));

        Assert.Equal([429, 429, 504, 504, 504], answers.Select(a => (int)a.StatusCode).Order());
        foreach (var full in answers.Where(a => a.StatusCode == HttpStatusCode.TooManyRequests))
        {
            Assert.InRange(full.Headers.RetryAfter!.Delta!.Value.TotalSeconds, 1, 86400);
            Assert.Contains("its limit is 3 (", await full.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        }

        var late = await answers.First(a => (int)a.StatusCode == 504).Content.ReadAsStringAsync();
        Assert.Contains("No worker was free within 2 s (queue.timeout", late, StringComparison.Ordinal);
        using var off = await gateway.Client.GetAsync(new Uri("/e/off/", UriKind.Relative));
        Assert.Equal(HttpStatusCode.ServiceUnavailable, off.StatusCode);
        Assert.Contains("scaling.max is 0", await off.Content.ReadAsStringAsync(), StringComparison.Ordinal);
    }

    private static async Task<(HttpStatusCode Status, string Detail)> GetAsync(HttpClient client, string path)
    {
        using var answer = await client.GetAsync(new Uri(path, UriKind.Relative));
        return (answer.StatusCode, (string?)JsonNode.Parse(await answer.Content.ReadAsStringAsync())!["error"] ?? "");
    }

    private static async Task<(HttpStatusCode Status, string Detail, TimeSpan? RetryAfter)> AskAsync(HttpClient client)
    {
        using var body = new StringContent(RunningGateway.Example("digits"));
        using var answer = await client.PostAsync(new Uri("/v2/models/digits/infer", UriKind.Relative), body);
        var json = JsonNode.Parse(await answer.Content.ReadAsStringAsync())!;
        return (answer.StatusCode, (string?)json["error"] ?? "", answer.Headers.RetryAfter?.Delta);
    }

    private static void CopyFolder(string from, string to)
    {
        foreach (var file in Directory.EnumerateFiles(from, "*", SearchOption.AllDirectories))
        {
            var target = Path.Combine(to, Path.GetRelativePath(from, file));
            Directory.CreateDirectory(Path.GetDirectoryName(target)!);
            File.Copy(file, target);
        }
    }
}
