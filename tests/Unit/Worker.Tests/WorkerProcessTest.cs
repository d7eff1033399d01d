using System.Net;
using System.Text;
using System.Text.Json.Nodes;
using Sluice.Testing;
using Sluice.Worker.Tests.Inspection;

namespace Sluice.Worker.Tests;

/// <summary>
/// Tests the worker as a process: its settings, its token check, its exit, and the files that it creates.
/// </summary>
[Trait("Needs", "publish")]
public sealed class WorkerProcessTest : IDisposable
{
    private readonly string folder = Directory.CreateTempSubdirectory("sluice-worker-").FullName;

    public WorkerProcessTest() => TinyModel.Put(folder, "tiny", TinyModel.Identity("FP32", -1));

    public void Dispose() => Directory.Delete(folder, recursive: true);

    [Fact]
    public async Task No_telemetry_file_appears()
    {
        var home = Directory.CreateDirectory(Path.Combine(folder, "home")).FullName;
        await using (var worker = await WorkerProcess.StartAsync(folder, new Dictionary<string, string?>
        {
            ["HOME"] = home, ["XDG_CACHE_HOME"] = null, ["SLUICE_MODELS"] = "tiny", ["ORT_DISABLE_TELEMETRY"] = null,
        }))
        {
            using var answer = await worker.Client.PostAsync("/v2/models/tiny/infer",
                new StringContent("""{"inputs":[{"name":"in","datatype":"FP32","shape":[1],"data":[1]}]}"""));
            Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        }

        Assert.DoesNotContain(Directory.EnumerateFileSystemEntries(home, "*", SearchOption.AllDirectories),
            f => f.Contains("onnxruntime", StringComparison.OrdinalIgnoreCase)
                || f.Contains("DeveloperTools", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Only_requests_with_the_pod_token_are_accepted()
    {
        await using var worker = await WorkerProcess.StartAsync(folder);
        foreach (var token in new[] { null, "", "wrong", WorkerProcess.Token + "x" })
        {
            using var stranger = WorkerProcess.ClientFor(worker.Client.BaseAddress!, token);
            using var answer = await stranger.GetAsync(new Uri("/v2/health/ready", UriKind.Relative));
            Assert.Equal(HttpStatusCode.Unauthorized, answer.StatusCode);
        }
    }

    [Theory]
    [InlineData("SLUICE_POD_TOKEN", null, "SLUICE_POD_TOKEN")]
    [InlineData("SLUICE_PORT", "http", "SLUICE_PORT is 'http'")]
    [InlineData("SLUICE_MODELS", "nothing", "model nothing")]
    [InlineData("SLUICE_MODELS", "../etc", "not a valid name")]
    [InlineData("SLUICE_MODEL_REPOSITORY", "/no/such/folder", "/no/such/folder")]
    [InlineData("SLUICE_EXECUTION_PROVIDERS", "quantum", "quantum")]
    public async Task An_invalid_setting_ends_the_worker_with_the_reason(string name, string? value, string says)
    {
        await using var process = WorkerProcess.Launch(folder, new Dictionary<string, string?> { [name] = value });
        Assert.Equal(3, await process.ExitAsync());
        Assert.Contains(says, process.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_file_that_is_not_a_model_ends_the_worker_with_the_name_of_the_model()
    {
        TinyModel.Put(folder, "broken", Encoding.UTF8.GetBytes("this is no model"));
        await using var process = WorkerProcess.Launch(folder);
        Assert.Equal(3, await process.ExitAsync());
        Assert.Contains("model broken", process.Output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(
        "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n",
        "it is not an ONNX model: it is a Git LFS pointer; allowed: an ONNX model; run 'git lfs pull'")]
    [InlineData(
        "PK\u0003\u0004weights",
        "it is not an ONNX model: it is a ZIP archive, as torch.save and Keras write it")]
    [InlineData(
        "<!DOCTYPE html><title>Sign in</title>",
        "it is not an ONNX model: it is an HTML or XML page; allowed: an ONNX model; download the file itself")]
    [InlineData("an unknown operator", "NoSuchOperator")]
    public async Task The_last_line_of_a_worker_that_cannot_load_is_the_reason(string content, string says)
    {
        var model = content != "an unknown operator" ? Encoding.UTF8.GetBytes(content)
            : OnnxWriter.Model(OnnxWriter.Graph(OnnxWriter.Field(1, OnnxWriter.Node("NoSuchOperator", "in", "out")),
                OnnxWriter.Field(11, OnnxWriter.Value("in", OnnxWriter.FP32, -1)),
                OnnxWriter.Field(12, OnnxWriter.Value("out", OnnxWriter.FP32, -1))));
        TinyModel.Put(folder, "broken", model);
        await using var process = WorkerProcess.Launch(folder);
        Assert.Equal(3, await process.ExitAsync());
        var last = await process.LineAsync("model broken");
        Assert.Contains(says, last, StringComparison.Ordinal);
        Assert.Equal(last, process.Output.Split('\n')[^1]);
    }

    [Fact]
    public async Task With_explicit_control_and_no_models_the_worker_starts_empty_and_loads_on_request()
    {
        await using var worker = await WorkerProcess.StartAsync(
            folder,
            new Dictionary<string, string?> { ["SLUICE_MODEL_CONTROL"] = "explicit" });
        using (var before = await worker.Client.GetAsync(new Uri("/v2/models/tiny", UriKind.Relative)))
            Assert.Equal(HttpStatusCode.NotFound, before.StatusCode);
        using (var load = await worker.Client.PostAsync("/v2/repository/models/tiny/load", null))
            Assert.Equal(HttpStatusCode.OK, load.StatusCode);
        using var answer = await worker.Client.PostAsync("/v2/models/tiny/infer",
            new StringContent("""{"inputs":[{"name":"in","datatype":"FP32","shape":[1],"data":[1]}]}"""));
        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
    }

    [Fact]
    public async Task Shapes_that_do_not_fit_each_other_are_a_400_without_source_files()
    {
        TinyModel.Put(folder, "add", TinyModel.Add("FP32", -1, -1));
        await using var worker = await WorkerProcess.StartAsync(folder);
        using var answer = await worker.Client.PostAsync("/v2/models/add/infer", new StringContent(
            """{"inputs":[{"name":"a","datatype":"FP32","shape":[1,2],"data":[1,2]},"""
            + """{"name":"b","datatype":"FP32","shape":[1,3],"data":[1,2,3]}]}"""));
        var error = (string)JsonNode.Parse(await answer.Content.ReadAsStringAsync())!["error"]!;
        Assert.Equal(HttpStatusCode.BadRequest, answer.StatusCode);
        Assert.Contains("2 by 3", error, StringComparison.Ordinal);
        Assert.DoesNotMatch(@"\.(h|cc):\d", error);
    }

    [Fact]
    public async Task Sigterm_completes_requests_in_flight_and_then_ends_the_worker()
    {
        await using var worker = await WorkerProcess.StartAsync(
            Repository.Models,
            new Dictionary<string, string?> { ["SLUICE_MODELS"] = "story" });
        using var request = new HttpRequestMessage(HttpMethod.Post, "/v2/models/story/generate_stream")
        {
            Version = HttpVersion.Version20,
            VersionPolicy = HttpVersionPolicy.RequestVersionExact,
            Content = new StringContent(
                """{"text_input":"a","parameters":{"max_tokens":500,"seed":1,"ignore_eos":true}}"""),
        };
        using var answer = await worker.Client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
        using var reader = new StreamReader(await answer.Content.ReadAsStreamAsync());
        await reader.ReadLineAsync();
        worker.Process.Signal(ChildProcess.Sigterm);
        var last = "";
        while (await reader.ReadLineAsync() is { } line)
            if (line.StartsWith("data: ", StringComparison.Ordinal)) last = line;

        Assert.Equal("length", (string?)JsonNode.Parse(last[6..])!["finish_reason"]);
        Assert.Equal(0, await worker.Process.ExitAsync());
    }

    [Fact]
    public async Task The_readiness_response_contains_the_stages_of_the_start()
    {
        await using var worker = await WorkerProcess.StartAsync(folder);
        using var answer = await worker.Client.GetAsync(new Uri("/v2/health/ready", UriKind.Relative));
        var stages = Assert.Single(answer.Headers.GetValues("Server-Timing")).Split(", ").Select(s => s.Split(';')[0]);
        Assert.Equal(["host", "model", "ort", "runtime", "total", "warmup"], stages.Order(StringComparer.Ordinal));
    }
}
