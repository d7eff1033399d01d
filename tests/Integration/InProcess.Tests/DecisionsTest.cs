using System.Net;
using System.Text.Json.Nodes;
using Sluice.Testing;

namespace Sluice.InProcess.Tests;

/// <summary>An operator can ask why so many workers run, pause an endpoint, and limit what it spends.</summary>
public sealed class DecisionsTest
{
    private static readonly JsonObject Echo = new() { ["do"] = "echo" };

    [Fact]
    public async Task Each_decision_is_told_with_its_inputs_its_steps_and_what_came_of_it()
    {
        await using var gateway = await InProcessGateway.StartAsync(Jobs.Manifest("/dev/null", max: 1, scaling: ", buffer: 1"));
        await new Jobs(gateway).RunSyncAsync(Echo);
        var decisions = await gateway.GetAsync("/api/v1/endpoints/stub/decisions");

        var first = decisions["changes"]!.AsArray()[^1]!;
        Assert.Equal(("SLO", 0, 1, 1), ((string)first["scaler"]!, (int)first["current"]!, (int)first["desired"]!, (int)first["start"]!));
        Assert.Equal(["demand", "buffer", "bounds"], first["steps"]!.AsArray().Select(s => (string)s!["name"]!));
        Assert.Equal((1, 0, 8), ((int)first["inputs"]!["queued"]!, (int)first["inputs"]!["ready"]!, (int)first["inputs"]!["slotsPerWorker"]!));
        Assert.Contains("buffer 1: 2; limited to 0..1: 1", (string)first["because"]!, StringComparison.Ordinal);
        // The latest goes on, though it changes nothing.
        await gateway.UntilAsync("/api/v1/endpoints/stub/decisions", d => (int)d["latest"]!["inputs"]!["ready"]! == 1
            && (int)d["latest"]!["start"]! == 0 && (double?)d["latest"]!["inputs"]!["startTime"] > 0 && (double?)d["latest"]!["inputs"]!["serviceTime"] >= 0);

        Assert.Equal(1, await gateway.MetricAsync("sluice_scaling_workers", "endpoint=\"stub\",state=\"desired\""));
        Assert.Equal(1, await gateway.MetricAsync("sluice_scaling_decisions_total", "direction=\"out\""));
        await gateway.Log.EventAsync("ScalingDecided", ("Endpoint", "stub"), ("Start", "1"));
        using var none = await gateway.Client.GetAsync(new Uri("/api/v1/endpoints/none/decisions", UriKind.Relative));
        Assert.Equal(HttpStatusCode.NotFound, none.StatusCode);
        using var stranger = gateway.ClientFor(null);
        using var refused = await stranger.GetAsync(new Uri("/api/v1/endpoints/stub/decisions", UriKind.Relative));
        Assert.Equal(HttpStatusCode.Unauthorized, refused.StatusCode);
    }

    [Fact]
    public async Task A_paused_endpoint_takes_jobs_and_runs_them_when_the_pause_ends()
    {
        var manifest = Jobs.Manifest("/dev/null", scaling: ", pause: QUEUE");
        await using var gateway = await InProcessGateway.StartAsync(manifest);
        var jobs = new Jobs(gateway);
        var id = await jobs.RunAsync(Echo);
        var waiting = await jobs.GetAsync($"status/{id}");
        Assert.Equal(("IN_QUEUE", "PAUSED"), ((string)waiting["status"]!, (string)waiting["queue"]!["reason"]!));

        await File.WriteAllTextAsync(gateway.ManifestPath, manifest.Replace("pause: QUEUE", "pause: REFUSE", StringComparison.Ordinal));
        await gateway.UntilAsync("/api/v1/endpoints/stub", e => ((string?)e["status"]!["blocked"])?.Contains("paused", StringComparison.Ordinal) == true);
        using var refused = await gateway.Client.PostAsync(new Uri("/e/stub/run", UriKind.Relative), new StringContent("{}"));
        Assert.Equal(HttpStatusCode.ServiceUnavailable, refused.StatusCode);
        Assert.Contains("scaling.pause is REFUSE", await refused.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        Assert.Empty(await gateway.WorkersAsync("stub"));

        await File.WriteAllTextAsync(gateway.ManifestPath, manifest.Replace("pause: QUEUE", "pause: NONE", StringComparison.Ordinal));
        Assert.Equal("COMPLETED", (string)(await jobs.EndAsync(id))["status"]!);
    }

    [Fact]
    public async Task A_day_s_worker_time_that_is_used_up_is_remembered_over_a_restart()
    {
        var manifest = Jobs.Manifest("/dev/null", scaling: ", dailyWorkerTime: 2s");
        await using var gateway = await InProcessGateway.StartAsync(manifest);
        await new Jobs(gateway).RunSyncAsync(Echo);
        await SpentAsync();
        var latest = (await gateway.GetAsync("/api/v1/endpoints/stub/decisions"))["latest"]!;
        Assert.Equal(("spend", 0), ((string)latest["decidedBy"]!, (int)latest["desired"]!));

        await gateway.RestartAsync();
        await SpentAsync();
        using var refused = await gateway.Client.PostAsync(new Uri("/e/stub/run", UriKind.Relative),
            new StringContent("{}"));
        Assert.Equal(HttpStatusCode.ServiceUnavailable, refused.StatusCode);
        var id = await new Jobs(gateway).RunAsync(Echo);
        Assert.Equal("PAUSED", (string)(await new Jobs(gateway).GetAsync($"status/{id}"))["queue"]!["reason"]!);

        Task SpentAsync() => gateway.UntilAsync("/api/v1/endpoints/stub",
            e => ((string?)e["status"]!["blocked"])?.Contains("worker-seconds", StringComparison.Ordinal) == true);
    }
}
