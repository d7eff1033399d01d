using System.Net;
using System.Net.Http.Json;
using System.Text.Json.Nodes;
using Sluice.Testing;

namespace Sluice.WholeProduct.Tests;

/// <summary>Tests a cold start, the response, and the stop after the idle timeout.</summary>
public sealed class FirstLightTest
{
    [Fact]
    public async Task A_request_to_an_endpoint_at_zero_starts_a_worker_and_is_answered_by_it()
    {
        await using var gateway = await GatewayProcess.StartAsync(Manifests.With(Manifests.Endpoint("digits")));
        Assert.Empty(await gateway.WorkersAsync("digits"));

        using var answer = await gateway.Client.PostAsync("/v2/models/digits/infer", Json(GatewayProcess.Example("digits")));

        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        var outputs = (await answer.Content.ReadFromJsonAsync<JsonObject>())!["outputs"]![0]!;
        Assert.Equal([1, 10], outputs["shape"]!.AsArray().Select(d => (int)d!));
        var timing = Assert.Single(answer.Headers.GetValues("Server-Timing"));
        Assert.Matches(@"^auth;dur=[0-9.]+, queue;dur=[0-9.]+, cold;dur=[1-9][0-9.]*, (cold-[A-Za-z]+;dur=[0-9.]+, )+worker;dur=[0-9.]+, "
            + @"wait;dur=[0-9.]+, input;dur=[0-9.]+, infer;dur=[0-9.]+, rows;desc=1$", timing);
        var worker = Assert.Single(await gateway.WorkersAsync("digits", "ready"));
        Assert.Equal((string?)worker["id"], Assert.Single(answer.Headers.GetValues("X-Sluice-Worker")));
        Assert.Equal(Stages,
            worker["stages"]!.AsArray().Select(s => (string)s!["name"]!).OrderBy(s => Array.IndexOf(Stages, s)));
    }

    [Fact]
    public async Task After_the_idle_timeout_nothing_of_the_endpoint_is_left_and_the_next_request_starts_again()
    {
        // Longer than the second in which gateways tell how busy they were: a late report would order one worker more.
        await using var gateway = await GatewayProcess.StartAsync(Manifests.With(Manifests.Endpoint("digits", idle: "1500ms")));
        for (var round = 0; round < 2; round++)
        {
            var mark = gateway.Process.Mark;
            using var answer = await gateway.Client.PostAsync("/v2/models/digits/infer", Json(GatewayProcess.Example("digits")));
            Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
            var started = await gateway.EventAsync("WorkerStarted", mark, ("Endpoint", "digits"));
            var stopped = await gateway.EventAsync("WorkerStopped", mark, ("Worker", started["Worker"]));
            Assert.StartsWith("exit code 0", stopped["Why"], StringComparison.Ordinal);
            await ChildProcess.GoneAsync(int.Parse(started["What"].Split(' ')[^1], System.Globalization.CultureInfo.InvariantCulture));
            var left = await gateway.GetAsync("/api/v1/endpoints/digits/workers");
            Assert.Empty(left["workers"]!.AsArray());
            Assert.Equal(0, await gateway.MetricAsync("sluice_workers", "endpoint=\"digits\""));
        }
    }

    [Fact]
    public async Task A_second_start_on_the_same_folder_keeps_keys_and_serves_again()
    {
        var folder = Directory.CreateTempSubdirectory("sluice-again-").FullName;
        string key;
        await using (var first = await GatewayProcess.StartAsync(Manifests.With(Manifests.Endpoint("digits")), folder))
        {
            key = first.Key;
            using var answer = await first.Client.PostAsync("/v2/models/digits/infer", Json(GatewayProcess.Example("digits")));
            Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
            // Not stopped but killed: what it left must not confuse the next one.
            first.Process.Signal(ChildProcess.Sigkill);
            await first.Process.ExitAsync();
        }

        await using (var second = await GatewayProcess.StartAsync(folder: folder, key: key))
        {
            Assert.DoesNotContain("slk_", second.Process.Output, StringComparison.Ordinal);
            using var answer = await second.Client.PostAsync("/v2/models/digits/infer", Json(GatewayProcess.Example("digits")));
            Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
            Assert.Single(await second.WorkersAsync("digits"));
        }

        Directory.Delete(folder, recursive: true);
    }

    [Fact]
    public async Task Metrics_are_clean_by_promtool_and_count_what_happened()
    {
        Require.Program("promtool", "prometheus");
        await using var gateway = await GatewayProcess.StartAsync(Manifests.With(Manifests.Endpoint("digits"), Manifests.Endpoint("story")));
        using (await gateway.Client.PostAsync("/v2/models/digits/infer", Json(GatewayProcess.Example("digits"))))
        using (await gateway.Client.PostAsync("/v2/models/story/generate", Json("""{"text_input":"Once","parameters":{"max_tokens":7,"seed":1}}""")))
        {
            Assert.Equal(1, await gateway.MetricAsync("sluice_requests_total", "endpoint=\"digits\",outcome=\"answered\""));
            Assert.True(await gateway.MetricAsync("sluice_tokens_total", "endpoint=\"story\"") is > 0 and <= 7);
            Assert.Equal(1, await gateway.MetricAsync("sluice_workers", "endpoint=\"digits\",state=\"ready\""));
            Assert.Equal(1, await gateway.MetricAsync("sluice_cold_start_stage_seconds_count", "endpoint=\"digits\",stage=\"model\""));
            Assert.Equal(1, await gateway.MetricAsync("sluice_request_wait_seconds_count", "endpoint=\"digits\""));
            Assert.True(await gateway.MetricAsync("sluice_redis_round_trips_total") > 0);
        }

        var file = Path.Combine(gateway.Folder, "metrics.txt");
        await File.WriteAllTextAsync(file, await gateway.Client.GetStringAsync(new Uri("/metrics", UriKind.Relative)));
        await using var promtool = new ChildProcess("/bin/sh", ["-c", $"promtool check metrics < '{file}'"], new Dictionary<string, string?>());
        Assert.True(await promtool.ExitAsync() == 0, promtool.Output);
        Assert.Equal("", promtool.Output);
    }

    private static readonly string[] Stages = ["placed", "spawn", "runtime", "ort", "model", "warmup", "host", "total"];

    private static StringContent Json(string text) => new(text, System.Text.Encoding.UTF8, "application/json");
}
