using System.Globalization;
using System.Net;
using System.Text.Json.Nodes;
using Sluice.Testing;
using Sluice.Worker.Statistics;

namespace Sluice.Worker.Tests;

/// <summary>Tests ORCA's load report in a response header.</summary>
[Trait("Needs", "publish")]
public sealed class LoadReportTest(LoadReportTest.Samples samples) : IClassFixture<LoadReportTest.Samples>
{
    private const string Plain = """{"inputs":[{"name":"in","datatype":"FP32","shape":[3],"data":[1,2,3]}]}""";
    private const string Keys = """{"in":[1,2,3]}""";
    private const string Story = """{"text_input":"Once","parameters":{"max_tokens":5,"seed":1}}""";

    private static readonly string[] Orca = ["application_utilization", "mem_utilization", "rps_fractional", "eps"];
    private static readonly string[] Ours = ["requests_inside", "kv_cache_utilization", "max_token_capacity"];

    public sealed class Samples : IAsyncLifetime
    {
        private readonly string folder = Directory.CreateTempSubdirectory("sluice-report-").FullName;

        public WorkerProcess Worker { get; private set; } = null!;

        public async ValueTask InitializeAsync()
        {
            TinyModel.Put(folder, "plain", TinyModel.Identity("FP32", -1));
            Directory.CreateSymbolicLink(Path.Combine(folder, "story"), Path.Combine(Repository.Models, "story"));
            Worker = await WorkerProcess.StartAsync(folder);
        }

        public async ValueTask DisposeAsync()
        {
            await Worker.DisposeAsync();
            Directory.Delete(folder, recursive: true);
        }
    }

    [Theory]
    [InlineData("plain/infer", Plain)]
    [InlineData("plain/generate", Keys)]
    [InlineData("plain/generate_stream", Keys)]
    [InlineData("story/generate", Story)]
    [InlineData("story/generate_stream", Story)]
    public async Task The_report_has_the_requested_form(string path, string body)
    {
        var text = (await AskAsync(path, body, "text"))!;
        Assert.StartsWith("TEXT ", text, StringComparison.Ordinal);
        var metrics = text[5..].Split(", ").ToDictionary(
            m => m.Split('=')[0],
            m => double.Parse(m.Split('=')[1], CultureInfo.InvariantCulture));
        Assert.Equal(Orca.Concat(Ours.Select(o => "named_metrics." + o)), metrics.Keys);
        Check(
            metrics["application_utilization"],
            metrics["mem_utilization"],
            metrics["rps_fractional"],
            metrics["named_metrics.requests_inside"]);

        var json = (await AskAsync(path, body, "json"))!;
        Assert.StartsWith("JSON {", json, StringComparison.Ordinal);
        var report = JsonNode.Parse(json[5..])!.AsObject();
        Assert.Equal(Orca.Append("named_metrics"), report.Select(f => f.Key));
        Assert.Equal(Ours, report["named_metrics"]!.AsObject().Select(f => f.Key));
        Check(
            (double)report["application_utilization"]!,
            (double)report["mem_utilization"]!,
            (double)report["rps_fractional"]!,
            (double)report["named_metrics"]!["requests_inside"]!);
    }

    [Fact]
    public async Task A_running_generation_uses_its_cache()
    {
        // The cache contains the 2 tokens of the prompt, including the end-of-text token before it, and some of the
        // generated ones. There is room for 64 texts of 512 tokens.
        const string body = """{"text_input":"Once","parameters":{"max_tokens":400,"ignore_eos":true}}""";
        var report = JsonNode.Parse((await AskAsync("story/generate_stream", body, "json"))![5..])!["named_metrics"]!;
        var room = (double)report["max_token_capacity"]!;
        Assert.Equal(64 * 512, room);
        // The report has six decimals.
        Assert.InRange((double)report["kv_cache_utilization"]!, (2 / room) - 1e-6, 402 / room);
    }

    [Theory]
    [InlineData("health/ready", "generation", "story")]
    [InlineData("models/story/stats", "model_stats", "0", "generation_stats")]
    public async Task The_worker_reports_the_capacity_and_the_use_of_its_cache(string path, params string[] fields)
    {
        JsonNode? load = JsonNode.Parse(await samples.Worker.Client.GetStringAsync("/v2/" + path));
        foreach (var field in fields) load = load is JsonArray list ? list[int.Parse(field, null)] : load![field];
        Assert.Equal(["cache_capacity_tokens", "cache_tokens", "kept_tokens", "running", "waiting", "waiting_tokens"],
            load!.AsObject().Select(f => f.Key));
        Assert.Equal(64 * 512, (long)load["cache_capacity_tokens"]!);
        Assert.Null(JsonNode.Parse(await samples.Worker.Client.GetStringAsync("/v2/models/plain/stats"))!
            ["model_stats"]![0]!["generation_stats"]);
    }

    [Theory]
    [InlineData(null)]
    [InlineData("xml")]
    [InlineData("")]
    public async Task A_request_without_a_supported_form_gets_no_report(string? format) =>
        Assert.Null(await AskAsync("plain/infer", Plain, format));

    [Fact]
    public void The_average_approaches_a_constant_level_and_a_constant_rate()
    {
        var (window, at) = (TimeSpan.FromSeconds(10), TimeSpan.FromHours(1));
        var mean = new MovingAverage(window, at);
        mean.Set(2, at);
        Assert.Equal(0, mean.At(at));
        Assert.Equal(2 * (1 - Math.Exp(-1)), mean.At(at + window), 1e-9);
        Assert.Equal(2, mean.At(at + (30 * window)), 1e-9);
        mean.Set(0, at + (30 * window));
        Assert.Equal(2 * Math.Exp(-1), mean.At(at + (31 * window)), 1e-9);
        // The time can appear to go backwards if two threads read the clock.
        Assert.Equal(2 * Math.Exp(-1), mean.At(at), 1e-9);

        var rate = new MovingAverage(window, at);
        for (var i = 0; i < 1000; i++) rate.Count(at + TimeSpan.FromMilliseconds(250 * i));
        Assert.InRange(rate.At(at + TimeSpan.FromMilliseconds(250 * 999)), 3.9, 4.1);
        Assert.InRange(rate.At(at + TimeSpan.FromSeconds(400)), 0, 1e-3);
    }

    private static void Check(double utilization, double memory, double requests, double inside)
    {
        Assert.InRange(utilization, 0, 1);
        Assert.InRange(memory, 1e-6, 1);
        Assert.InRange(requests, 0, 1000);
        Assert.Equal(1, inside);
    }

    private async Task<string?> AskAsync(string path, string body, string? format)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, "/v2/models/" + path)
        {
            Version = HttpVersion.Version20,
            VersionPolicy = HttpVersionPolicy.RequestVersionExact,
            Content = new StringContent(body),
        };
        if (format is not null) request.Headers.Add("endpoint-load-metrics-format", format);
        using var answer = await samples.Worker.Client.SendAsync(request);
        Assert.True(answer.StatusCode == HttpStatusCode.OK, await answer.Content.ReadAsStringAsync());
        return answer.Headers.TryGetValues("endpoint-load-metrics", out var report) ? report.Single() : null;
    }
}
