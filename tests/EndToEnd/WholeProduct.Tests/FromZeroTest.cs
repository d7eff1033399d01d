using System.Net;
using System.Text;
using System.Text.Json.Nodes;
using Sluice.Testing;

namespace Sluice.WholeProduct.Tests;

/// <summary>Tests the duration and the number of cold starts.</summary>
public sealed class FromZeroTest
{
    private static readonly string[] Stages = ["queued", "placed", "process", "runtime", "provider", "model", "warmUp", "firstAnswer"];

    [Theory]
    [InlineData("SLO")]
    [InlineData("REQUEST_COUNT")]
    [InlineData("CONCURRENCY")]
    public async Task Five_hundred_requests_at_once_to_zero_are_all_answered_by_no_more_workers_than_they_need(string scaler)
    {
        const int requests = 500, slots = 125, max = 8;
        await using var gateway = await GatewayProcess.StartAsync(Jobs.Manifest("/dev/null", max, slots, scaling: $", scaler: {scaler}, targetUtilization: 100"));
        Assert.Empty(await gateway.WorkersAsync("stub"));
        var answers = await Task.WhenAll(Enumerable.Range(0, requests).Select(async n =>
        {
            using var body = new StringContent($$"""{"id":"{{n}}","attempt":1,"input":{"do":"sleep","ms":100} }""");
            using var answer = await gateway.Client.PostAsync(new Uri("/e/stub/run", UriKind.Relative), body);
            return answer.StatusCode;
        }));
        Assert.All(answers, a => Assert.Equal(HttpStatusCode.OK, a));

        var changes = (await gateway.GetAsync("/api/v1/endpoints/stub/decisions"))["changes"]!.AsArray();
        var ordered = changes.Sum(c => (int)c!["start"]!);
        var started = gateway.Events.Count(e => e.Is("WorkerStarted", ("Endpoint", "stub")));
        Assert.InRange(started, 1, changes.Max(c => (int)c!["desired"]!));
        // SLO also scales by the measured time of a request, which is longer on a loaded machine.
        Assert.InRange(ordered, started, scaler == "SLO" ? max : requests / slots);
    }

    [Fact]
    public async Task A_job_that_waited_for_a_worker_s_start_tells_where_the_time_went_also_when_the_worker_is_gone_and_the_next_one_does_not()
    {
        await using var gateway = await GatewayProcess.StartAsync(Manifests.With(Manifests.Endpoint("digits", max: 1, idle: "1500ms")));
        var jobs = new Jobs(gateway, "digits");
        var input = JsonNode.Parse(GatewayProcess.Example("digits"))!;
        var first = await jobs.EndAsync(await jobs.RunAsync(input));
        var second = await jobs.EndAsync(await jobs.RunAsync(input));
        Assert.Equal(("COMPLETED", "COMPLETED"), ((string?)first["status"], (string?)second["status"]));
        Assert.Null(second["coldStart"]);
        Assert.Equal(0, (double)second["timings"]!["coldMs"]!);

        var cold = first["coldStart"]!.AsObject();
        Assert.Equal(Stages, cold.Select(s => s.Key));
        Assert.All(cold, s => Assert.True((double)s.Value! >= 0, $"{s}"));
        Assert.True((double)cold["model"]! > 0);
        // They follow one another, from the job's arrival to its answer; what the worker does beside is left out.
        var told = (double)first["timings"]!["totalMs"]!;
        Assert.InRange(cold.Sum(s => (double)s.Value!), 0.5 * told, told + 50);

        await gateway.EventAsync("WorkerStopped", 0, ("Endpoint", "digits"));
        Assert.Equal(cold.ToJsonString(), (await jobs.GetAsync($"status/{first["id"]}"))["coldStart"]!.ToJsonString());
    }

    [Fact]
    public async Task The_answer_to_a_request_that_waited_for_a_start_names_its_stages_and_a_warm_one_has_none()
    {
        await using var gateway = await GatewayProcess.StartAsync(Manifests.With(Manifests.Endpoint("digits")));
        var first = await TimingAsync(gateway);
        Assert.Matches(@"cold;dur=[1-9][0-9.]*, cold-placed;dur=[0-9.]+, cold-process;dur=[0-9.]+, cold-runtime;dur=[0-9.]+, cold-provider;dur=[0-9.]+, "
            + @"cold-model;dur=[0-9.]+, cold-warmUp;dur=[0-9.]+, worker;dur=", first);
        Assert.Contains("cold;dur=0, worker;dur=", await TimingAsync(gateway), StringComparison.Ordinal);
    }

    private static async Task<string> TimingAsync(GatewayProcess gateway)
    {
        using var body = new StringContent(GatewayProcess.Example("digits"), Encoding.UTF8, "application/json");
        using var answer = await gateway.Client.PostAsync(new Uri("/v2/models/digits/infer", UriKind.Relative), body);
        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        return Assert.Single(answer.Headers.GetValues("Server-Timing"));
    }
}
