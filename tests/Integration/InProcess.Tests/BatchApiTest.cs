using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json.Nodes;
using Sluice.Testing;

namespace Sluice.InProcess.Tests;

/// <summary>
/// Tests <c>/v1/files</c> and <c>/v1/batches</c> with OpenAI's own client, restarts, and two gateways. The worker
/// answers with the body of its request.
/// </summary>
public sealed class BatchApiTest : IAsyncLifetime
{
    private const string Path = "/v1/chat/completions";

    private readonly string log = System.IO.Path.GetTempFileName();

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public ValueTask DisposeAsync()
    {
        StubLog.Delete(log);
        return ValueTask.CompletedTask;
    }

    [Fact]
    public async Task The_official_client_runs_a_batch()
    {
        Require.Program("node", "nodejs and npm, which fetch openai");
        await using var gateway = await StartAsync();
        var client = System.IO.Path.Combine(Repository.Root, "tests", "Unit", "Worker.Tests", "openai");
        await using var node = new ChildProcess("/usr/bin/env",
            ["node", System.IO.Path.Combine(client, "batches.mjs"), new Uri(gateway.Url, "/v1").ToString(), gateway.Key,
                "stub", "40"],
            new Dictionary<string, string?>());
        var seen = JsonNode.Parse(await node.LineAsync("{\"file\""))!;

        var batch = seen["batch"]!;
        Assert.Equal(("completed", "one"), ((string?)batch["status"], (string?)batch["metadata"]!["run"]));
        Assert.Equal((40, 39, 1), Counts(batch));
        Assert.Equal(Enumerable.Range(0, 40).Where(n => n != 3),
            seen["output"]!.AsArray().Select(Row).Order());
        Assert.All(seen["output"]!.AsArray(), l =>
        {
            var response = l!["response"]!;
            Assert.Equal((200, Path), ((int)response["status_code"]!, (string?)response["body"]!["path"]));
            Assert.Equal(Row(l), (int)response["body"]!["body"]!["n"]!);
        });
        var failed = Assert.Single(seen["failed"]!.AsArray())!;
        Assert.Equal((3, 400), (Row(failed), (int)failed["response"]!["status_code"]!));
        string[] fields = ["error_file_id", "output_file_id", "input_file_id"];
        Assert.Equal([.. fields.Select(f => (string?)batch[f]).Order()],
            seen["files"]!.AsArray().Select(f => (string?)f).Order());
        Assert.Equal([(string?)batch["id"]], seen["batches"]!.AsArray().Select(b => (string?)b));
        CheckInvalid(seen["invalid"]!);
        Assert.True((bool)seen["deleted"]!["deleted"]!);
        CheckErrors(seen["errors"]!);
    }

    [Fact]
    public async Task A_batch_survives_a_restart_of_its_gateway()
    {
        await using var gateway = await StartAsync();
        var id = await CreateAsync(gateway, await UploadAsync(gateway, Rows(300, ms: 5)));
        await Eventually.BecomesAsync(() => GetAsync(gateway, id), b => Counts(b).Completed >= 30);
        await gateway.RestartAsync();
        await CheckCompleteAsync(gateway, id, 300);
    }

    [Fact]
    public async Task Another_gateway_continues_a_batch()
    {
        var gateway = await StartAsync();
        await using var other = await gateway.StartAnotherAsync();
        string id;
        try
        {
            id = await CreateAsync(gateway, await UploadAsync(gateway, Rows(300, ms: 5)));
            await Eventually.BecomesAsync(() => GetAsync(other, id), b => Counts(b).Completed >= 30);
        }
        finally
        {
            // The second gateway uses the Redis of the first one, so only the application of the first one stops.
            await gateway.StopAsync();
        }

        try
        {
            await CheckCompleteAsync(other, id, 300);
        }
        finally
        {
            await other.StopAsync();
            await gateway.DisposeAsync();
        }
    }

    [Fact]
    public async Task A_cancelled_batch_stops_its_lines_and_keeps_their_results()
    {
        await using var gateway = await StartAsync();
        var rows = Rows(3, ms: 0).Concat(Rows(20, ms: 60_000, from: 3));
        var file = await UploadAsync(gateway, rows);
        var id = await CreateAsync(gateway, file);
        await Eventually.BecomesAsync(() => GetAsync(gateway, id), b => Counts(b).Completed == 3);
        using var used = await gateway.Client.DeleteAsync(new Uri($"/v1/files/{file}", UriKind.Relative));
        Assert.Equal(HttpStatusCode.Conflict, used.StatusCode);
        using var cancel = await gateway.Client.PostAsync(
            new Uri($"/v1/batches/{id}/cancel", UriKind.Relative), null);
        Assert.Equal("cancelling", (string?)(await cancel.Content.ReadFromJsonAsync<JsonObject>())!["status"]);

        var batch = await EndAsync(gateway, id, "cancelled");
        Assert.Equal([0, 1, 2], (await ReadAsync(gateway, (string)batch["output_file_id"]!)).Select(Row).Order());
        await Eventually.HoldsAsync(() => Logged("stopped ") == Logged("begin ") - 3);
        using var deleted = await gateway.Client.DeleteAsync(new Uri($"/v1/files/{file}", UriKind.Relative));
        Assert.Equal(HttpStatusCode.OK, deleted.StatusCode);
    }

    [Fact]
    public async Task A_batch_that_expires_reports_each_line_that_did_not_end()
    {
        await using var gateway = await StartAsync(max: 0);
        var id = await CreateAsync(gateway, await UploadAsync(gateway, Rows(100, ms: 0)), window: "1s");
        var batch = await EndAsync(gateway, id, "expired");
        Assert.Equal((100, 0, 100), Counts(batch));
        Assert.Null((string?)batch["output_file_id"]);
        var errors = await ReadAsync(gateway, (string)batch["error_file_id"]!);
        Assert.Equal(Enumerable.Range(0, 100), errors.Select(Row).Order());
        Assert.All(errors, e => Assert.Equal("batch_expired", (string?)e["error"]!["code"]));
        var jobs = await gateway.GetAsync("/v2/stub/health");
        Assert.Equal(0, (int)jobs["jobs"]!["inQueue"]!);
    }

    [Fact]
    public async Task Lines_wait_while_a_budget_has_no_room()
    {
        await using var gateway = await StartAsync();
        using var created = await gateway.Client.PostAsJsonAsync("/api/v1/budgets",
            new { scope = "gateway", unit = "requests", window = "month", limit = 2 });
        var budget = (await created.Content.ReadFromJsonAsync<JsonObject>())!;
        var id = await CreateAsync(gateway, await UploadAsync(gateway, Rows(3, ms: 0)));
        await Eventually.BecomesAsync(() => GetAsync(gateway, id), b => Counts(b).Completed == 2);
        using var raised = await gateway.Client.PutAsJsonAsync($"/api/v1/budgets/{budget["id"]}",
            new { scope = "gateway", unit = "requests", window = "month", limit = 10 });
        Assert.Equal(HttpStatusCode.OK, raised.StatusCode);
        await CheckCompleteAsync(gateway, id, 3);
        Assert.Equal(3, (double)(await gateway.GetAsync($"/api/v1/budgets/{budget["id"]}"))["used"]!);
    }

    [Fact]
    public async Task A_batch_whose_input_is_lost_fails()
    {
        await using var gateway = await StartAsync(max: 0);
        var id = await CreateAsync(gateway, await UploadAsync(gateway, Rows(3, ms: 0)));
        await Eventually.BecomesAsync(() => GetAsync(gateway, id), b => (string?)b["status"] == "in_progress");
        await gateway.StopAsync();
        var payloads = System.IO.Path.Combine(gateway.Folder, "data", "payloads");
        foreach (var file in Directory.EnumerateFiles(payloads, "*", SearchOption.AllDirectories))
            if (System.IO.Path.GetFileName(file).Length == 32) File.Delete(file);
        await gateway.RestartAsync();
        var batch = await EndAsync(gateway, id, "failed");
        Assert.Equal("file_lost", (string?)batch["errors"]!["data"]![0]!["code"]);
    }

    [Fact]
    public async Task Files_and_batches_belong_to_their_key()
    {
        await using var gateway = await StartAsync(
            new() { ["SLUICE_FILE_MAX_MIB"] = "1", ["SLUICE_FILES_KEY_MIB"] = "1" });
        var file = await UploadAsync(gateway, Rows(2, ms: 0));
        var id = await CreateAsync(gateway, file);
        using var created = await gateway.Client.PostAsJsonAsync("/api/v1/keys",
            new { name = "test", invoke = new[] { "stub" } });
        var key = (string)(await created.Content.ReadFromJsonAsync<JsonObject>())!["key"]!;
        using var other = gateway.ClientFor(key);
        foreach (var path in new[] { $"files/{file}", $"files/{file}/content", $"batches/{id}" })
            await CheckErrorAsync(other.GetAsync(new Uri("/v1/" + path, UriKind.Relative)), 404, "not_found", "id");
        Assert.Empty((await other.GetFromJsonAsync<JsonObject>("/v1/files"))!["data"]!.AsArray());
        Assert.Empty((await other.GetFromJsonAsync<JsonObject>("/v1/batches"))!["data"]!.AsArray());
        await CheckErrorAsync(other.PostAsJsonAsync("/v1/batches",
            new { input_file_id = file, endpoint = Path, completion_window = "24h" }), 400, null, "input_file_id");

        using var anonymous = gateway.ClientFor(null);
        await CheckErrorAsync(anonymous.GetAsync(new Uri("/v1/files", UriKind.Relative)), 401, "invalid_api_key", null);
        await CheckErrorAsync(PostFileAsync(other, new string('x', (1 << 20) + 1)), 413, null, "file");
        using (var fits = await PostFileAsync(other, new string('x', 1 << 20)))
            Assert.Equal(HttpStatusCode.OK, fits.StatusCode);
        await CheckErrorAsync(PostFileAsync(other, "x"), 429, "rate_limit_exceeded", null);
        await CheckErrorAsync(other.PostAsJsonAsync("/v1/files", new { }), 400, null, null);
    }

    [Fact]
    public async Task A_form_with_many_fields_is_rejected()
    {
        await using var gateway = await StartAsync();
        using var form = new MultipartFormDataContent();
        for (var n = 0; n < 17; n++) form.Add(new StringContent("x"), $"field-{n}");
        form.Add(new StringContent("{}"), "file", "rows.jsonl");
        using var answer = await gateway.Client.PostAsync(new Uri("/v1/files", UriKind.Relative), form);
        Assert.Equal(HttpStatusCode.BadRequest, answer.StatusCode);
        Assert.Contains("16", await answer.Content.ReadAsStringAsync(), StringComparison.Ordinal);
    }

    private static int Row(JsonNode? line) =>
        int.Parse(((string)line!["custom_id"]!)["row-".Length..], CultureInfo.InvariantCulture);

    private static (int Total, int Completed, int Failed) Counts(JsonNode batch)
    {
        var counts = batch["request_counts"]!;
        return ((int)counts["total"]!, (int)counts["completed"]!, (int)counts["failed"]!);
    }

    private static void CheckInvalid(JsonNode batch)
    {
        Assert.Equal("failed", (string?)batch["status"]);
        Assert.Equal(
            [(2, "method", "invalid_request"), (3, "custom_id", "duplicate_custom_id"),
                (5, "body.model", "model_not_found"), (6, "body.stream", "invalid_request")],
            batch["errors"]!["data"]!.AsArray()
                .Select(e => ((int)e!["line"]!, (string?)e["param"], (string?)e["code"])));
    }

    private static void CheckErrors(JsonNode errors)
    {
        Check("gone", "NotFoundError", 404, "id");
        Check("purpose", "BadRequestError", 400, "purpose");
        Check("window", "BadRequestError", 400, "completion_window");
        Check("endpoint", "BadRequestError", 400, "endpoint");
        Check("ended", "ConflictError", 409, null);

        void Check(string name, string kind, int status, string? param)
        {
            var error = errors[name]!;
            Assert.Equal((kind, status, param),
                ((string?)error["kind"], (int)error["status"]!, (string?)error["param"]));
        }
    }

    private static async Task CheckErrorAsync(Task<HttpResponseMessage> sent, int status, string? code, string? param)
    {
        using var answer = await sent;
        var error = (await answer.Content.ReadFromJsonAsync<JsonObject>())!["error"]!;
        Assert.Equal((status, code, param), ((int)answer.StatusCode, (string?)error["code"], (string?)error["param"]));
    }

    private static IEnumerable<string> Rows(int count, int ms, int from = 0) =>
        Enumerable.Range(from, count).Select(n =>
            $"{{\"custom_id\":\"row-{n}\",\"method\":\"POST\",\"url\":\"{Path}\","
            + $"\"body\":{{\"model\":\"stub\",\"n\":{n},\"ms\":{ms}}}}}");

    private static Task<HttpResponseMessage> PostFileAsync(HttpClient client, string text)
    {
        var file = new ByteArrayContent(Encoding.UTF8.GetBytes(text));
        file.Headers.ContentType = new MediaTypeHeaderValue("application/jsonl");
        return client.PostAsync(new Uri("/v1/files", UriKind.Relative),
            new MultipartFormDataContent { { new StringContent("batch"), "purpose" }, { file, "file", "rows.jsonl" } });
    }

    private static async Task<string> UploadAsync(RunningGateway gateway, IEnumerable<string> rows)
    {
        using var answer = await PostFileAsync(gateway.Client, string.Join('\n', rows));
        return (string)(await answer.Content.ReadFromJsonAsync<JsonObject>())!["id"]!;
    }

    private static async Task<string> CreateAsync(RunningGateway gateway, string file, string window = "24h")
    {
        using var answer = await gateway.Client.PostAsJsonAsync("/v1/batches",
            new { input_file_id = file, endpoint = Path, completion_window = window });
        return (string)(await answer.Content.ReadFromJsonAsync<JsonObject>())!["id"]!;
    }

    private static async Task<JsonNode> GetAsync(RunningGateway gateway, string id) =>
        await gateway.GetAsync($"/v1/batches/{id}");

    private static async Task<List<JsonNode>> ReadAsync(RunningGateway gateway, string file) =>
    [
        .. (await gateway.Client.GetStringAsync(new Uri($"/v1/files/{file}/content", UriKind.Relative)))
            .Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(l => JsonNode.Parse(l)!),
    ];

    /// <summary>Waits for the end, and checks that each line is in the output once.</summary>
    private static async Task CheckCompleteAsync(RunningGateway gateway, string id, int lines)
    {
        var batch = await EndAsync(gateway, id, "completed");
        Assert.Equal((lines, lines, 0), Counts(batch));
        var output = await ReadAsync(gateway, (string)batch["output_file_id"]!);
        Assert.Equal(Enumerable.Range(0, lines), output.Select(Row).Order());
        Assert.All(output, l => Assert.Equal(Row(l), (int)l["response"]!["body"]!["body"]!["n"]!));
    }

    private static Task<JsonNode> EndAsync(RunningGateway gateway, string id, string status) =>
        Eventually.BecomesAsync(() => GetAsync(gateway, id), b => (string?)b["status"] == status);

    private int Logged(string what) => StubLog.Lines(log).Count(l => l.StartsWith(what, StringComparison.Ordinal));

    private Task<InProcessGateway> StartAsync(Dictionary<string, string?>? settings = null, int max = 1) =>
        InProcessGateway.StartAsync(Jobs.Manifest(log, max: max, concurrency: 8,
            more: "forwarding: { executionTimeout: 120s }"), settings);
}
