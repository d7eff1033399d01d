using System.IO.Compression;
using System.Net;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json.Nodes;
using Sluice.Testing;

namespace Sluice.Worker.Tests;

/// <summary>Tests batching, repository, compression and metrics in a real worker process.</summary>
[Trait("Needs", "publish")]
public sealed class BatchingTest(BatchingTest.Models models) : IClassFixture<BatchingTest.Models>
{
    public sealed class Models : IAsyncLifetime
    {
        public string Folder { get; } = Directory.CreateTempSubdirectory("sluice-batches-").FullName;

        public WorkerProcess Worker { get; private set; } = null!;

        public async ValueTask InitializeAsync()
        {
            TinyModel.Put(Folder, "add", TinyModel.Add("FP32", -1, 2));
            TinyModel.Put(Folder, "lookup", TinyModel.Lookup());
            TinyModel.Put(Folder, "softmax", TinyModel.Softmax());
            TinyModel.Put(Folder, "fixed", TinyModel.Identity("FP32", 1, 2));
            TinyModel.Put(Folder, "wide", TinyModel.Identity("FP32", -1, -1));
            File.WriteAllText(Path.Combine(Folder, "wide", "labels.txt"), "cat\ndog\n");
            TinyModel.Put(Folder, "comes", TinyModel.Identity("FP32", -1));
            TinyModel.Put(Folder, "comes", TinyModel.Add("FP32", -1), 2);
            Worker = await WorkerProcess.StartAsync(Folder, new Dictionary<string, string?>
            {
                ["SLUICE_MODEL_CONTROL"] = "explicit",
                ["SLUICE_MODELS"] = "add,lookup,softmax,fixed,wide,comes",
                ["SLUICE_MAX_BATCH"] = "8",
            });
        }

        public async ValueTask DisposeAsync()
        {
            await Worker.DisposeAsync();
            Directory.Delete(Folder, recursive: true);
        }
    }

    private HttpClient Client => models.Worker.Client;

    [Fact]
    public async Task Concurrent_requests_get_their_own_rows_and_are_counted()
    {
        var before = await StatisticsAsync("add");
        var answers = await Task.WhenAll(Enumerable.Range(0, 400).Select(async i =>
        {
            var rows = 1 + (i % 3);
            var numbers = string.Join(',', Enumerable.Range(0, rows * 2).Select(k => i + k));
            string Input(string name) => $$"""{"name":"{{name}}","datatype":"FP32","shape":[{{rows}},2],"data":"""
                + $$"""[{{numbers}}]}""";
            var answer = await InferAsync("add", $$"""{"inputs":[{{Input("a")}},{{Input("b")}}]}""");
            Assert.Equal(
                Enumerable.Range(0, rows * 2).Select(k => 2f * (i + k)),
                answer["outputs"]![0]!["data"]!.AsArray().Select(n => (float)n!));
            return rows;
        }));
        var after = await StatisticsAsync("add");
        Assert.Equal(answers.Sum(), (int)after["inference_count"]! - (int)before["inference_count"]!);
        // The batch sizes depend on timing; BatchSchedulerTest checks them.
        Assert.InRange((int)after["execution_count"]! - (int)before["execution_count"]!, answers.Sum() / 8, 400);
        var successes = (int)after["inference_stats"]!["success"]!["count"]!
            - (int)before["inference_stats"]!["success"]!["count"]!;
        Assert.Equal(400, successes);
        Assert.All(after["batch_stats"]!.AsArray(), b => Assert.InRange((int)b!["batch_size"]!, 1, 8));
    }

    [Fact]
    public async Task A_request_with_invalid_values_does_not_fail_others_in_its_batch()
    {
        var answers =
            await Task.WhenAll(Enumerable.Range(0, 200).Select(i => Client.PostAsync("/v2/models/lookup/infer",
            new StringContent($$"""{"inputs":[{"name":"in","datatype":"INT64","shape":[1],"data":"""
                + $$"""[{{(i % 10 == 0 ? 99 : i % 3)}}]}]}"""))));
        for (var i = 0; i < answers.Length; i++)
        {
            Assert.Equal(i % 10 == 0 ? HttpStatusCode.BadRequest : HttpStatusCode.OK, answers[i].StatusCode);
            if (i % 10 == 0) continue;
            var data =
                JsonNode.Parse(await answers[i].Content.ReadAsStringAsync())!["outputs"]![0]!["data"]!.ToJsonString();
            Assert.Equal($"[{2 * (i % 3)},{(2 * (i % 3)) + 1}]", data);
        }

        foreach (var answer in answers) answer.Dispose();
    }

    [Theory]
    [InlineData("add", 8, "rows do not depend on each other")]
    [InlineData("softmax", 0, "depends on the rows beside it")]
    [InlineData("fixed", 0, "the first dimension of 'in' is fixed at 1")]
    public async Task The_configuration_reports_whether_requests_are_batched(string model, int max, string why)
    {
        var config = await GetAsync($"/v2/models/{model}/config");
        Assert.Equal(max, (int)config["max_batch_size"]!);
        Assert.Contains(why, (string?)config["parameters"]!["batching"]!["string_value"], StringComparison.Ordinal);
        Assert.Equal(max > 0, config["dynamic_batching"] is not null);
    }

    [Fact]
    public async Task A_request_larger_than_a_batch_runs_alone()
    {
        var numbers = string.Join(',', Enumerable.Range(0, 200));
        var answer = await InferAsync(
            "wide",
            $$"""{"inputs":[{"name":"in","datatype":"FP32","shape":[100,2],"data":[{{numbers}}]}]}""");
        Assert.Equal("[100,2]", answer["outputs"]![0]!["shape"]!.ToJsonString());
        Assert.Equal($"[{numbers}]", answer["outputs"]![0]!["data"]!.ToJsonString());
    }

    [Fact]
    public async Task Inputs_with_different_batch_sizes_are_rejected()
    {
        using var answer = await Client.PostAsync("/v2/models/add/infer", new StringContent(
            """{"inputs":[{"name":"a","datatype":"FP32","shape":[1,2],"data":[1,2]},"""
            + """{"name":"b","datatype":"FP32","shape":[2,2],"data":[1,2,3,4]}]}"""));
        Assert.Equal(HttpStatusCode.BadRequest, answer.StatusCode);
        Assert.Contains(
            "is '2'; expected 1, the batch size of input 'a'",
            await answer.Content.ReadAsStringAsync(),
            StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("""{"timeout":1}""", 503, "Request timeout expired")]
    [InlineData("""{"timeout":-1}""", 400, "'timeout' must be a whole number from 0")]
    [InlineData("""{"priority":1,"timeout":60000000,"mine":"x","flag":true}""", 200, "")]
    [InlineData("""{"priority":"high"}""", 400, "'priority' must be a whole number")]
    [InlineData("""{"triton_final_response":true}""", 400, "reserved for Triton usage")]
    [InlineData("""{"sequence_id":7}""", 400, "does not support sequences")]
    [InlineData("""{"mine":[1]}""", 400, "Parameter 'mine' must be a string, a number or a boolean")]
    public async Task Parameters_are_applied_or_rejected(string parameters, int status, string says)
    {
        using var answer = await Client.PostAsync("/v2/models/wide/infer",
            new StringContent($$"""{"parameters":{{parameters}},"inputs":[{"name":"in","datatype":"FP32","shape":"""
                + $$"""[1,2],"data":[1,2]}]}"""));
        Assert.Equal(status, (int)answer.StatusCode);
        Assert.Contains(says, await answer.Content.ReadAsStringAsync(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_job_with_half_a_surrogate_pair_is_rejected()
    {
        using var answer = await Client.PostAsync("/run", new StringContent(
            """{"input":{"model":"wide","inputs":[{"n\ud800ame":"in","datatype":"FP32","shape":[1,2],"data":"""
            + """[1,2]}]}}"""));
        Assert.Equal(HttpStatusCode.BadRequest, answer.StatusCode);
    }

    [Fact]
    public async Task Too_large_outputs_are_rejected()
    {
        // A body of 3 MiB results in a classification with 700,000 classes, which are 12 MiB of BYTES.
        var zeros = new byte[2_800_000];
        const string head = """
            {"inputs":[{"name":"in","datatype":"FP32","shape":[1,700000],"parameters":{"binary_data_size":2800000}}],
             "outputs":[{"name":"out","parameters":{"classification":700000}}]}
            """;
        await using var worker = await WorkerProcess.StartAsync(models.Folder, new Dictionary<string, string?>
        {
            ["SLUICE_MODELS"] = "wide", ["SLUICE_MAX_OUTPUT_BYTES"] = "4000000",
        });
        using var content = new ByteArrayContent([.. Encoding.ASCII.GetBytes(head), .. zeros]);
        content.Headers.Add("Inference-Header-Content-Length", $"{head.Length}");
        using var answer = await worker.Client.PostAsync("/v2/models/wide/infer", content);
        Assert.Equal(HttpStatusCode.BadRequest, answer.StatusCode);
        Assert.Contains("SLUICE_MAX_OUTPUT_BYTES", await answer.Content.ReadAsStringAsync(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_classification_returns_the_highest_values_with_their_labels()
    {
        var answer = await InferAsync("wide",
            """{"inputs":[{"name":"in","datatype":"FP32","shape":[2,3],"data":[0.5,2,1,9,8,7]}],"outputs":"""
            + """[{"name":"out","parameters":{"classification":2}}]}""");
        var output = answer["outputs"]![0]!;
        Assert.Equal("BYTES", (string?)output["datatype"]);
        Assert.Equal("[2,2]", output["shape"]!.ToJsonString());
        Assert.Equal(
            """["2.000000:1:dog","1.000000:2","9.000000:0:cat","8.000000:1:dog"]""",
            output["data"]!.ToJsonString());
    }

    [Theory]
    [InlineData("gzip")]
    [InlineData("deflate")]
    public async Task Requests_and_responses_can_be_compressed(string encoding)
    {
        var numbers = string.Join(',', Enumerable.Range(0, 2000));
        var plain = new MemoryStream();
        await using (Stream packed = encoding == "gzip"
            ? new GZipStream(plain, CompressionMode.Compress, true)
            : new ZLibStream(plain, CompressionMode.Compress, true))
            await packed.WriteAsync(
                Encoding.UTF8.GetBytes(
                    $$"""{"inputs":[{"name":"in","datatype":"FP32","shape":[1,2000],"data":[{{numbers}}]}]}"""));
        using var request = new HttpRequestMessage(HttpMethod.Post, "/v2/models/wide/infer")
        {
            Content = new ByteArrayContent(plain.ToArray()),
            Version = HttpVersion.Version20,
            VersionPolicy = HttpVersionPolicy.RequestVersionExact,
        };
        request.Content.Headers.ContentEncoding.Add(encoding);
        request.Headers.AcceptEncoding.Add(new StringWithQualityHeaderValue(encoding));
        using var answer = await Client.SendAsync(request);
        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        Assert.Equal([encoding], answer.Content.Headers.ContentEncoding);
        var body = await answer.Content.ReadAsStreamAsync();
        await using Stream open = encoding == "gzip"
            ? new GZipStream(body, CompressionMode.Decompress)
            : new ZLibStream(body, CompressionMode.Decompress);
        Assert.Equal($"[{numbers}]", (await JsonNode.ParseAsync(open))!["outputs"]![0]!["data"]!.ToJsonString());
    }

    [Fact]
    public async Task Models_load_and_unload_under_load_without_errors()
    {
        using var stop = new CancellationTokenSource();
        var served = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var fire = Enumerable.Range(0, 16).Select(_ => Task.Run(async () =>
        {
            var seen = new HashSet<HttpStatusCode>();
            while (!stop.IsCancellationRequested)
            {
                using var answer = await Client.PostAsync("/v2/models/comes/infer", new StringContent(
                    """{"inputs":[{"name":"a","datatype":"FP32","shape":[1],"data":[1]},"""
                    + """{"name":"b","datatype":"FP32","shape":[1],"data":[2]}]}"""));
                seen.Add(answer.StatusCode);
                if (answer.StatusCode == HttpStatusCode.OK) served.TrySetResult();
            }

            return seen;
        })).ToList();
        for (var i = 0; i < 30; i++)
        {
            foreach (var what in new[] { "load", "unload" })
            {
                using var done = await Client.PostAsync($"/v2/repository/models/comes/{what}", null);
                Assert.Equal(HttpStatusCode.OK, done.StatusCode);
                if (what == "load") await served.Task.WaitAsync(ChildProcess.Patience, TimeProvider.System);
            }

            Assert.Contains(
                (await IndexAsync()).AsArray(),
                m => (string?)m!["name"] == "comes" && (string?)m["reason"] == "unloaded");
        }

        await stop.CancelAsync();
        var statuses = (await Task.WhenAll(fire)).SelectMany(s => s).Distinct().ToList();
        Assert.DoesNotContain(statuses, s => s is not (HttpStatusCode.OK or HttpStatusCode.NotFound));
        Assert.Contains(HttpStatusCode.OK, statuses);
        using var back = await Client.PostAsync("/v2/repository/models/comes/load", null);
        Assert.Equal("2", (string?)(await InferAsync("comes",
            """{"inputs":[{"name":"a","datatype":"FP32","shape":[1],"data":[1]},"""
            + """{"name":"b","datatype":"FP32","shape":[1],"data":[2]}]}"""))["model_version"]);
    }

    [Fact]
    public async Task A_model_that_cannot_be_loaded_has_a_reason_and_others_are_served()
    {
        Directory.CreateDirectory(Path.Combine(models.Folder, "broken", "1"));
        await File.WriteAllTextAsync(Path.Combine(models.Folder, "broken", "1", "model.onnx"), "no model");
        using var refused = await Client.PostAsync("/v2/repository/models/broken/load", null);
        Assert.Equal(HttpStatusCode.BadRequest, refused.StatusCode);
        Assert.Contains("failed to load 'broken'", await refused.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        Assert.Contains(
            (await IndexAsync()).AsArray(),
            m => (string?)m!["name"] == "broken" && (string?)m["state"] == "UNAVAILABLE");
        using var anybody = WorkerProcess.ClientFor(Client.BaseAddress!, WorkerProcess.Token);
        using var denied = await anybody.PostAsync("/v2/repository/models/add/unload", null);
        Assert.Equal(HttpStatusCode.Forbidden, denied.StatusCode);
        using var none = await Client.PostAsync("/v2/repository/models/none/unload", null);
        Assert.Equal(HttpStatusCode.NotFound, none.StatusCode);
        using var upload = await Client.PostAsync(
            "/v2/repository/models/add/load",
            new StringContent("""{"parameters":{"file:1/model.onnx":"AAAA"}}"""));
        Assert.Equal(HttpStatusCode.BadRequest, upload.StatusCode);
        using var list = await Client.PostAsync("/v2/repository/models/add/load", new StringContent("[]"));
        Assert.Equal(HttpStatusCode.BadRequest, list.StatusCode);
        Assert.Contains("not a JSON object", await list.Content.ReadAsStringAsync(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Metrics_match_the_requests()
    {
        await InferAsync("wide", """{"inputs":[{"name":"in","datatype":"FP32","shape":[1,2],"data":[1,2]}]}""");
        var text = await Client.GetStringAsync("/metrics");
        string[] families =
        [
            "requests_total", "inferences_total", "executions_total", "batch_rows_bucket", "stage_seconds_bucket",
            "batch_cuts_total",
        ];
        foreach (var family in families)
            Assert.Contains($"sluice_model_{family}{{model=\"wide\",version=\"1\"", text, StringComparison.Ordinal);
        // Models that generate no text and no embeddings have no metrics of them.
        foreach (var prefix in new[] { "sluice_generation_", "sluice_embedding_", "vllm:", "sluice_model_tokens_total{" })
            Assert.DoesNotContain(prefix, text, StringComparison.Ordinal);
        const string start = "sluice_model_stage_seconds_bucket{model=\"wide\",version=\"1\",stage=\"infer\"";
        var buckets = text.Split('\n').Where(l => l.StartsWith(start, StringComparison.Ordinal))
            .Select(l => long.Parse(l.Split(' ')[1], System.Globalization.CultureInfo.InvariantCulture)).ToList();
        Assert.Equal(buckets.Order(), buckets);
        // The table of the model lookup has 24 bytes; a batch of 8 rows uses 8 * (8 + 8) bytes. The memory of a
        // failed batch is not pooled, so a successful request is sent first.
        await InferAsync("lookup", """{"inputs":[{"name":"in","datatype":"INT64","shape":[1],"data":[1]}]}""");
        Assert.Contains(
            "sluice_model_memory_bytes{model=\"lookup\",version=\"1\",kind=\"weights\",provider=\"cpu\"} 24\n",
            text,
            StringComparison.Ordinal);
        Assert.Equal("CPU", (string?)(await StatisticsAsync("lookup"))["memory_usage"]![0]!["type"]);
        Assert.True((int)(await StatisticsAsync("lookup"))["memory_usage"]![1]!["byte_size"]! >= 128);
        Assert.True(buckets[^1] > 0);
    }

    private async Task<JsonNode> InferAsync(string model, string body)
    {
        using var answer = await Client.PostAsync($"/v2/models/{model}/infer", new StringContent(body));
        var text = await answer.Content.ReadAsStringAsync();
        Assert.True(answer.IsSuccessStatusCode, text);
        return JsonNode.Parse(text)!;
    }

    private async Task<JsonNode> GetAsync(string path) => JsonNode.Parse(await Client.GetStringAsync(path))!;

    private async Task<JsonNode> StatisticsAsync(string model) =>
        (await GetAsync($"/v2/models/{model}/stats"))["model_stats"]![0]!;

    private async Task<JsonNode> IndexAsync()
    {
        using var answer = await Client.PostAsync("/v2/repository/index", null);
        return JsonNode.Parse(await answer.Content.ReadAsStringAsync())!;
    }
}
