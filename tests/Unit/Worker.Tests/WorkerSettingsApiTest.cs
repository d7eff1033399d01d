using System.Net;
using System.Net.Http.Json;
using System.Text.Json.Nodes;
using Sluice.Testing;

namespace Sluice.Worker.Tests;

/// <summary>Tests Triton's logging and trace extensions on a running worker.</summary>
[Trait("Needs", "publish")]
public sealed class WorkerSettingsApiTest : IAsyncLifetime
{
    private const string One = """{"id":"ID","inputs":[{"name":"in","datatype":"FP32","shape":[1,2],"data":[1,2]}]}""";

    private readonly string folder = Directory.CreateTempSubdirectory("sluice-settings-").FullName;
    private WorkerProcess worker = null!;

    public async ValueTask InitializeAsync()
    {
        TinyModel.Put(folder, "tiny", TinyModel.Identity("FP32", -1, 2));
        TinyModel.Put(folder, "other", TinyModel.Identity("FP32", -1, 2));
        worker = await WorkerProcess.StartAsync(folder);
    }

    public async ValueTask DisposeAsync()
    {
        await worker.DisposeAsync();
        Directory.Delete(folder, recursive: true);
    }

    [Fact]
    public async Task The_server_lists_both_extensions()
    {
        var extensions = (await worker.Client.GetFromJsonAsync<JsonObject>("/v2"))!["extensions"]!.AsArray()
            .Select(e => (string)e!);
        Assert.Superset(new HashSet<string> { "trace", "logging" }, extensions.ToHashSet());
    }

    [Fact]
    public async Task Requests_are_logged_if_enabled_and_in_the_selected_format()
    {
        Assert.Equal(
            """{"log_file":"","log_info":true,"log_warning":true,"log_error":true,"log_verbose_level":0,"""
            + "\"log_format\":\"default\"}",
            await worker.Client.GetStringAsync("/v2/logging"));
        await InferAsync("tiny", "before");
        var changed = await ChangeAsync("/v2/logging", """{"log_verbose_level":1,"log_format":"ISO8601"}""");
        Assert.Equal((1, "ISO8601"), ((int)changed["log_verbose_level"]!, (string)changed["log_format"]!));
        await InferAsync("other", "during");
        var line = await worker.Process.LineAsync("POST /v2/models/other/infer 200 in ");
        Assert.Matches(@"^\d{4}-\d\d-\d\dT[0-9:.]+Z debug WorkerAuthMiddleware: POST ", line);
        await ChangeAsync("/v2/logging", """{"log_verbose_level":0}""");
        using (await worker.Client.GetAsync("/v2/models/tiny/config"))
            await ChangeAsync("/v2/logging", """{"log_verbose_level":1}""");
        using (await worker.Client.GetAsync("/v2/models/other/config%0Aforged"))
            Assert.EndsWith(
                "/config%0Aforged 404 in",
                (await worker.Process.LineAsync("forged")).Split(" in ")[0] + " in",
                StringComparison.Ordinal);
        Assert.DoesNotContain("/v2/models/tiny/", worker.Process.Output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("/v2/logging", """{"log_info":1}""", "'log_info' is '1'; expected true or false")]
    [InlineData(
        "/v2/trace/setting",
        """{"trace_rate":"0"}""",
        "'trace_rate' is '\"0\"'; expected a whole number from 1 to")]
    [InlineData("/v2/models/tiny/trace/setting", "{", "failed to parse the request JSON")]
    public async Task An_invalid_setting_is_a_400(string path, string body, string says)
    {
        using var answer = await PostAsync(path, body, admin: true);
        Assert.Equal(HttpStatusCode.BadRequest, answer.StatusCode);
        Assert.Contains(
            says,
            (string)(await answer.Content.ReadFromJsonAsync<JsonObject>())!["error"]!,
            StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("/v2/logging")]
    [InlineData("/v2/trace/setting")]
    [InlineData("/v2/models/tiny/trace/setting")]
    public async Task A_caller_that_is_not_an_admin_cannot_change_settings(string path)
    {
        var before = await worker.Client.GetStringAsync(path);
        using var answer = await PostAsync(path, """{"log_info":false,"trace_rate":"1"}""", admin: false);
        Assert.Equal(HttpStatusCode.Forbidden, answer.StatusCode);
        Assert.Contains("Only an admin key can", await answer.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        Assert.Equal(before, await worker.Client.GetStringAsync(path));
    }

    [Fact]
    public async Task A_caller_without_a_key_cannot_read_settings_lists_or_metrics()
    {
        using var client = WorkerProcess.ClientFor(worker.Client.BaseAddress!, WorkerProcess.Token);
        client.DefaultRequestHeaders.Add("X-Sluice-Anonymous", "1");
        string[] closed =
        [
            "/metrics", "/v2/models", "/v2/models/stats", "/v2/models/tiny/stats", "/v2/models/tiny/versions/1/stats",
            "/v2/logging", "/v2/trace/setting",
        ];
        foreach (var path in closed)
        {
            using var answer = await client.GetAsync(new Uri(path, UriKind.Relative));
            Assert.Equal(HttpStatusCode.Forbidden, answer.StatusCode);
            Assert.Contains("needs an API key", await answer.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        }

        string[] open =
        [
            "/v2", "/v2/health/ready", "/v2/models/tiny", "/v2/models/tiny/versions/1/config", "/v2/models/tiny/ready",
        ];
        foreach (var path in open)
        {
            using var answer = await client.GetAsync(new Uri(path, UriKind.Relative));
            Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        }
    }

    [Fact]
    public async Task Every_nth_request_is_traced_until_the_count_is_reached()
    {
        Assert.Equal("""{"trace_level":"""
            + """["OFF"],"trace_rate":"1000","trace_count":"-1","log_frequency":"0","trace_file":""}""",
            await worker.Client.GetStringAsync("/v2/trace/setting"));
        await ChangeAsync("/v2/logging", """{"log_info":false}""");
        await ChangeAsync("/v2/trace/setting", """{"trace_level":["TIMESTAMPS"],"trace_rate":"2","trace_count":"2"}""");
        foreach (var id in "abcdef") await InferAsync("tiny", id.ToString());
        var traces = await TracesAsync(lines: 2);
        Assert.Equal(["b", "d"], traces.Select(t => t.Id));
        string[] points =
        [
            "REQUEST_START", "QUEUE_START", "COMPUTE_START", "COMPUTE_INPUT_END", "COMPUTE_OUTPUT_START",
            "COMPUTE_END", "REQUEST_END",
        ];
        Assert.All(traces, t => Assert.Equal(points, t.Points.Select(p => p.Name)));
        Assert.All(traces, t => Assert.Equal(t.Points.Select(p => p.Ns).Order(), t.Points.Select(p => p.Ns)));
        Assert.Equal(
            "0",
            (string?)(await worker.Client.GetFromJsonAsync<JsonObject>("/v2/trace/setting"))!["trace_count"]);
    }

    [Fact]
    public async Task Traces_that_are_written_together_are_one_line()
    {
        await ChangeAsync("/v2/trace/setting", """{"trace_level":"TIMESTAMPS","trace_rate":1,"log_frequency":"3"}""");
        await InferAsync("tiny", "good");
        using (
            var refused = await worker.Client.PostAsync(
                "/v2/models/tiny/infer",
                new StringContent(One.Replace("[1,2],\"d", "[1,3],\"d", StringComparison.Ordinal))))
            Assert.Equal(HttpStatusCode.BadRequest, refused.StatusCode);
        var job = $$"""{"input":{"model":"other",{{One[1..]}}}""";
        using (await worker.Client.PostAsync("/run", new StringContent(job))) await InferAsync("other", "late");
        var traces = await TracesAsync(lines: 1);
        Assert.Equal(["good", "", "ID"], traces.Select(t => t.Id));
        Assert.Equal(["REQUEST_START", "REQUEST_END"], traces[1].Points.Select(p => p.Name));
        await ChangeAsync("/v2/trace/setting", """{"trace_level":["OFF"]}""");
        Assert.Equal("late", (await TracesAsync(lines: 2))[^1].Id);
    }

    [Fact]
    public async Task A_model_has_different_settings_until_they_are_reset()
    {
        await ChangeAsync("/v2/trace/setting", """{"trace_level":["TIMESTAMPS"],"trace_rate":"1"}""");
        await ChangeAsync("/v2/models/tiny/trace/setting", """{"trace_level":["OFF"],"trace_count":"7"}""");
        await InferAsync("tiny", "untraced");
        await InferAsync("other", "traced");
        var back = await ChangeAsync("/v2/models/tiny/trace/setting", """{"trace_level":null,"trace_count":null}""");
        Assert.Equal(("TIMESTAMPS", "-1"), ((string?)back["trace_level"]![0], (string?)back["trace_count"]));
        await InferAsync("tiny", "again");
        Assert.Equal(["traced", "again"], (await TracesAsync(lines: 2)).Select(t => t.Id));
        using var none = await PostAsync("/v2/models/none/trace/setting", "{}", admin: true);
        Assert.Equal(HttpStatusCode.NotFound, none.StatusCode);
    }

    private async Task InferAsync(string model, string id)
    {
        using var answer = await worker.Client.PostAsync(
            $"/v2/models/{model}/infer",
            new StringContent(One.Replace("ID", id, StringComparison.Ordinal)));
        Assert.True(answer.IsSuccessStatusCode, await answer.Content.ReadAsStringAsync());
    }

    private async Task<HttpResponseMessage> PostAsync(string path, string body, bool admin)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, path)
        {
            Version = HttpVersion.Version20,
            Content = new StringContent(body),
        };
        request.VersionPolicy = HttpVersionPolicy.RequestVersionExact;
        if (admin) request.Headers.Add("X-Sluice-Admin", "1");
        return await worker.Client.SendAsync(request);
    }

    private async Task<JsonObject> ChangeAsync(string path, string body)
    {
        using var answer = await PostAsync(path, body, admin: true);
        Assert.True(answer.IsSuccessStatusCode, await answer.Content.ReadAsStringAsync());
        return (await answer.Content.ReadFromJsonAsync<JsonObject>())!;
    }

    /// <summary>
    /// Waits for a number of trace lines in the worker's log, and returns their traces. Each line is a part of a
    /// trace file of Triton.
    /// </summary>
    private async Task<IReadOnlyList<Trace>> TracesAsync(int lines)
    {
        const string mark = " Trace: ";
        var after = 0;
        for (var i = 0; i < lines; i++)
        {
            var line = await worker.Process.LineAsync(mark, after);
            after = Array.IndexOf(worker.Process.Output.Split('\n'), line, after) + 1;
        }

        var entries = worker.Process.Output.Split('\n').Where(l => l.Contains(mark, StringComparison.Ordinal))
            .SelectMany(l => JsonNode.Parse(l[(l.IndexOf(mark, StringComparison.Ordinal) + mark.Length)..])!.AsArray())
            .ToList();
        return [.. entries.Where(e => e!["timestamps"] is null).Select(e => ToTrace(e!))];

        Trace ToTrace(JsonNode e)
        {
            var times = entries.Single(t => t!["timestamps"] is not null && (int)t["id"]! == (int)e["id"]!)!;
            return new Trace((string)e["request_id"]!, [
                .. times["timestamps"]!.AsArray().Select(p => ((string)p!["name"]!, (long)p["ns"]!)),
            ]);
        }
    }

    private sealed record Trace(string Id, IReadOnlyList<(string Name, long Ns)> Points);
}
