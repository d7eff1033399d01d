using System.Text.Json.Nodes;
using Sluice.Testing;

namespace Sluice.InProcess.Tests;

/// <summary>
/// Tests the pods of RunPod's API v2, call for call. Source: RunPod's OpenAPI document of November 2026: required
/// fields of the schema <c>Pod</c>, statuses, and the form of errors.
/// </summary>
public sealed class RunPodPodsTest(PodsGateway pods) : IClassFixture<PodsGateway>
{
    private const string New = """
        {"name":"n","templateId":"shell","cpu":{"id":"cpu5c","vcpuCount":2},"args":"'echo hello; exec sleep 1000'"}
        """;

    private static readonly string[] Required =
    [
        "id", "name", "status", "actions", "image", "args", "disk", "mounts", "ports", "env", "registry", "cloud",
        "dataCenterId", "cudaVersion", "ssh", "template", "cost", "locked", "runtime", "createdAt", "startedAt",
        "globalNetworking",
    ];

    [Fact]
    public async Task A_pod_is_created_read_changed_and_terminated()
    {
        var (status, made) = await pods.SendAsync(HttpMethod.Post, "/v2/pods", New);
        Assert.True(status == 201, made.ToJsonString());
        AssertPod(made);
        Assert.Equal("PROVISIONING", (string?)made["status"]);
        var id = (string)made["id"]!;
        var pod = await UntilAsync(id, "RUNNING");
        AssertPod(pod);
        Assert.Equal(["stop", "restart", "terminate"], pod["actions"]!.AsArray().Select(a => (string?)a));
        Assert.Equal("'echo hello; exec sleep 1000'", (string?)pod["args"]);
        Assert.Equal("shell", (string?)pod["template"]);
        Assert.Equal("/workspace", (string?)pod["mounts"]!["persistent"]!["path"]);
        Assert.Equal(2, (int)pod["cpu"]!["vcpuCount"]!);
        Assert.False(pod.ContainsKey("gpu"));
        Assert.True((long)pod["runtime"]!["uptime"]! >= 0);
        Assert.IsType<JsonArray>(pod["runtime"]!["ports"]);
        Assert.NotNull((DateTimeOffset?)pod["startedAt"]);
        Assert.Contains(id, await ListAsync());

        var (changed, renamed) = await pods.SendAsync(HttpMethod.Patch, $"/v2/pods/{id}",
            """{"name":"other","locked":true}""");
        Assert.Equal((200, "other", true), (changed, (string?)renamed["name"], (bool)renamed["locked"]!));
        Assert.Equal(409, (await ActAsync(id, "stop")).Status);
        Assert.Equal(409, (await pods.SendAsync(HttpMethod.Delete, $"/v2/pods/{id}")).Status);
        await pods.SendAsync(HttpMethod.Patch, $"/v2/pods/{id}", """{"locked":false}""");

        var (stops, stopping) = await ActAsync(id, "stop");
        Assert.Equal(200, stops);
        AssertPod(stopping);
        var stopped = await UntilAsync(id, "EXITED");
        Assert.Null(stopped["runtime"]);
        Assert.Null(stopped["startedAt"]);
        Assert.Equal(0, (double)stopped["cost"]!);
        Assert.Equal(409, (await ActAsync(id, "restart")).Status);
        Assert.Equal(200, (await ActAsync(id, "start")).Status);
        await UntilAsync(id, "RUNNING");
        Assert.Equal(200, (await ActAsync(id, "restart")).Status);
        var (ended, nothing) = await ActAsync(id, "terminate");
        Assert.Equal((204, 0), (ended, nothing.Count));
        Assert.Equal(404, (await ActAsync(id, "start")).Status);
        Assert.DoesNotContain(id, await ListAsync());
    }

    [Fact]
    public async Task A_running_pod_has_its_cost_and_what_it_uses()
    {
        var (status, made) = await pods.SendAsync(HttpMethod.Post, "/v2/pods", """
            {"name":"n","templateId":"shell","cpu":{"id":"c","vcpuCount":2},"args":"'while :; do :; done'"}
            """);
        Assert.True(status == 201, made.ToJsonString());
        var id = (string)made["id"]!;
        var pod = await UntilAsync(id, "RUNNING");
        // RunPod's schema requires a number, and has no null in a runtime.
        Assert.Equal(0, (double)pod["cost"]!);
        Assert.DoesNotContain(pod["runtime"]!.AsObject(), f => f.Value is null);
        Assert.Equal(200, (await pods.SendAsync(HttpMethod.Put, "/api/v1/prices",
            """{"currency":"EUR","prices":[{"gpu":"cpu","from":"2020-01-01T00:00:00Z","perHour":0.25}]}""")).Status);

        pod = await pods.Gateway.UntilAsync($"/v2/pods/{id}", p => p["runtime"]!["cpu"] is not null);
        Assert.Equal(0.25, (double)pod["cost"]!);
        var runtime = pod["runtime"]!.AsObject();
        Assert.Equal(["uptime", "gpus", "cpu", "memory", "ports"], runtime.Select(f => f.Key));
        // A loop uses at most one processor of several.
        Assert.InRange((int)runtime["cpu"]!["util"]!, 1, 100);
        Assert.InRange((int)runtime["memory"]!["util"]!, 0, 100);
        Assert.Empty(runtime["gpus"]!.AsArray());
        var own = await pods.Gateway.GetAsync($"/api/v1/pods/{id}");
        Assert.Equal((0.25, "EUR"), ((double)own["costPerHour"]!, (string?)own["currency"]));
        var overview = await pods.Gateway.UntilAsync("/api/v1/overview", o => (double?)o["pods"]!["costPerHour"] > 0);
        Assert.Equal(0.25 * (int)overview["pods"]!["running"]!, (double)overview["pods"]!["costPerHour"]!);
        Assert.Equal(0, (int)overview["pods"]!["unpriced"]!);
        Assert.InRange((double)own["utilization"]!["cpus"]!, 0.01, 1.2);
        Assert.InRange((long)own["utilization"]!["memory"]!, 1 << 10, 1L << 30);

        await ActAsync(id, "stop");
        var stopped = await UntilAsync(id, "EXITED");
        Assert.Equal((null, 0), (stopped["runtime"], (double)stopped["cost"]!));
        own = await pods.Gateway.GetAsync($"/api/v1/pods/{id}");
        Assert.Null(own["utilization"]);
        await ActAsync(id, "terminate");
        Assert.Equal(200, (await pods.SendAsync(HttpMethod.Put, "/api/v1/prices",
            """{"currency":"EUR","prices":[]}""")).Status);
    }

    [Fact]
    public async Task A_pod_is_deleted()
    {
        var id = (string)(await pods.SendAsync(HttpMethod.Post, "/v2/pods", New)).Answer["id"]!;
        var (status, nothing) = await pods.SendAsync(HttpMethod.Delete, $"/v2/pods/{id}");
        Assert.Equal((204, 0), (status, nothing.Count));
        Assert.Equal(404, (await pods.SendAsync(HttpMethod.Delete, $"/v2/pods/{id}")).Status);
    }

    [Theory]
    [InlineData("GET", "/v2/pods/a0123456789abc", null, 404)]
    [InlineData("PATCH", "/v2/pods/a0123456789abc", "{}", 404)]
    [InlineData("DELETE", "/v2/pods/a0123456789abc", null, 404)]
    [InlineData("GET", "/v2/pods/a0123456789abc/logs", null, 404)]
    [InlineData("POST", "/v2/pods/a0123456789abc/action", """{"action":"start"}""", 404)]
    [InlineData("POST", "/v2/pods/a0123456789abc/action", """{"action":"pause"}""", 422)]
    [InlineData("POST", "/v2/pods/a0123456789abc/action", """{"action":"start","now":1}""", 422)]
    [InlineData("POST", "/v2/pods/a0123456789abc/action", "{", 400)]
    [InlineData("POST", "/v2/pods", "{", 400)]
    [InlineData("POST", "/v2/pods", "[]", 400)]
    [InlineData("POST", "/v2/pods", """{"name":"n"}""", 422)]
    [InlineData("POST", "/v2/pods", """{"name":"n","image":"i:1","cpu":{"id":"c","vcpuCount":2},"volumeInGb":1}""",
        422)]
    [InlineData("POST", "/v2/pods", """{"name":"n","image":"i:1","cpu":{"id":"c","vcpuCount":2},"ports":["x"]}""", 422)]
    [InlineData("POST", "/v2/pods", """{"name":"n","cpu":{"id":"c","vcpuCount":2}}""", 422)]
    [InlineData("POST", "/v2/pods", """{"name":"n","templateId":"no","cpu":{"id":"c","vcpuCount":2}}""", 404)]
    public async Task An_error_has_RunPods_status_and_form(string method, string path, string? body, int status)
    {
        using var request = new HttpRequestMessage(new HttpMethod(method), path);
        if (body is not null) request.Content = new StringContent(body);
        using var answer = await pods.Client.SendAsync(request);
        await AssertErrorAsync(answer, status);
    }

    [Fact]
    public async Task A_caller_without_an_admin_key_is_refused_in_RunPods_form()
    {
        using var nobody = pods.Gateway.ClientFor(null);
        using (var answer = await nobody.GetAsync(new Uri("/v2/pods", UriKind.Relative)))
            await AssertErrorAsync(answer, 401);
        var (key, _) = await pods.CreateKeyAsync("""{"name":"k","invoke":["*"]}""");
        using var guest = pods.Gateway.ClientFor(key);
        using (var answer = await guest.GetAsync(new Uri("/v2/pods", UriKind.Relative)))
            await AssertErrorAsync(answer, 403);
    }

    private static async Task AssertErrorAsync(HttpResponseMessage answer, int status)
    {
        var text = await answer.Content.ReadAsStringAsync();
        Assert.True((int)answer.StatusCode == status, text);
        Assert.Equal("application/problem+json", answer.Content.Headers.ContentType!.MediaType);
        var error = JsonNode.Parse(text)!.AsObject();
        Assert.Equal(status, (int)error["status"]!);
        Assert.NotEmpty((string)error["title"]!);
        Assert.NotEmpty((string)error["detail"]!);
        Assert.All(error["errors"]?.AsArray() ?? [], e => Assert.NotEmpty((string)e!));
        Assert.Empty(error.Select(f => f.Key).Except(["title", "status", "detail", "errors"]));
    }

    private static void AssertPod(JsonObject pod)
    {
        Assert.Empty(Required.Except(pod.Select(f => f.Key)));
        Assert.Equal(pod.ContainsKey("gpu"), !pod.ContainsKey("cpu"));
        Assert.Equal("SECURE", (string?)pod["cloud"]);
        Assert.True(pod["ssh"]!.AsObject().ContainsKey("proxy") && pod["ssh"]!.AsObject().ContainsKey("direct"));
        Assert.False((bool)pod["globalNetworking"]!["enabled"]!);
        Assert.IsType<JsonObject>(pod["env"]);
        Assert.IsType<JsonArray>(pod["ports"]);
        Assert.NotNull((DateTimeOffset?)pod["createdAt"]);
    }

    private async Task<IReadOnlyList<string?>> ListAsync() =>
        [.. (await pods.Gateway.GetAsync("/v2/pods"))["pods"]!.AsArray().Select(p => (string?)p!["id"])];

    private Task<(int Status, JsonObject Answer)> ActAsync(string pod, string action) =>
        pods.SendAsync(HttpMethod.Post, $"/v2/pods/{pod}/action", $$"""{"action":"{{action}}"}""");

    private Task<JsonObject> UntilAsync(string pod, string status) =>
        pods.Gateway.UntilAsync($"/v2/pods/{pod}", p => (string?)p["status"] == status);
}
