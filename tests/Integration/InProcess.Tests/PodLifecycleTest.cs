using System.Text.Json.Nodes;
using Sluice.Testing;

namespace Sluice.InProcess.Tests;

/// <summary>Tests the life of pods with Sluice's API: real processes, real volumes.</summary>
public sealed class PodLifecycleTest(PodsGateway pods) : IClassFixture<PodsGateway>
{
    [Fact]
    public async Task A_pod_is_stopped_started_restarted_changed_and_terminated()
    {
        var pod = await pods.CreateAsync("""{"name":"web","template":"web","env":{"MODE":"one"}}""");
        Assert.Matches("^[a-z][a-z0-9]{13}$", pod);
        var running = await pods.UntilAsync(pod, "RUNNING");
        Assert.Equal(["stop", "restart", "terminate"], Texts(running["actions"]));
        Assert.Equal("", (string?)running["reason"]);
        Assert.Equal("web", (string?)running["spec"]!["template"]);
        Assert.DoesNotContain("secret", running.ToJsonString(), StringComparison.OrdinalIgnoreCase);
        Assert.Equal(pods.OriginOf(pod) + "/", (string?)running["ports"]![0]!["url"]);
        Assert.Equal("tcp", (string?)running["ports"]![2]!["kind"]);
        var first = (await GetAsync(pod, "/?write=a")).Json;
        Assert.Equal("one", (string?)first["mode"]);

        Assert.Equal(200, await pods.ActAsync(pod, "stop"));
        var stopped = await pods.UntilAsync(pod, "EXITED");
        Assert.Equal(["start", "terminate"], Texts(stopped["actions"]));
        Assert.Null(stopped["startedAt"]);
        Assert.Equal(503, (await GetAsync(pod, "/")).Status);
        Assert.Equal(409, await pods.ActAsync(pod, "stop"));
        Assert.Equal(409, await pods.ActAsync(pod, "restart"));

        // The file of the volume is there still.
        Assert.Equal(200, await pods.ActAsync(pod, "start"));
        await pods.UntilAsync(pod, "RUNNING");
        var second = (await GetAsync(pod, "/?write=b")).Json;
        Assert.Equal("ab", (string?)second["file"]);
        Assert.NotEqual((int)first["process"]!, (int)second["process"]!);
        Assert.Equal(409, await pods.ActAsync(pod, "start"));

        Assert.Equal(200, await pods.ActAsync(pod, "restart"));
        var third = await ApplicationAsync(pod, a => (int)a["process"]! != (int)second["process"]!);
        Assert.Equal("ab", (string?)third["file"]);
        await pods.UntilAsync(pod, "RUNNING");

        // A new name changes nothing of the process. A new variable does.
        Assert.Equal("other", (string?)(await ChangeAsync(pod, """{"name":"other"}"""))["spec"]!["name"]);
        Assert.Equal((int)third["process"]!, (int)(await GetAsync(pod, "/")).Json["process"]!);
        await ChangeAsync(pod, """{"env":{"MODE":"two"}}""");
        Assert.Equal("ab", (string?)(await ApplicationAsync(pod, a => (string?)a["mode"] == "two"))["file"]);

        var folder = Path.Combine(pods.Gateway.Folder, "data", "pods", pod);
        Assert.True(Directory.Exists(folder));
        Assert.Equal(204, (await pods.SendAsync(HttpMethod.Delete, $"/api/v1/pods/{pod}")).Status);
        await Eventually.HoldsAsync(() => !Directory.Exists(folder));
        Assert.DoesNotContain((await pods.Gateway.GetAsync("/api/v1/pods"))["pods"]!.AsArray(),
            p => (string?)p!["id"] == pod);
        Assert.Equal(404, await pods.ActAsync(pod, "start"));
        Assert.Equal(404, (await pods.SendAsync(HttpMethod.Patch, $"/api/v1/pods/{pod}", "{}")).Status);
    }

    [Fact]
    public async Task A_request_that_is_too_large_is_refused()
    {
        var (status, answer) = await pods.SendAsync(HttpMethod.Post, "/api/v1/pods",
            $$$"""{"name":"n","template":"shell","env":{"A":"{{{new string('x', 70_000)}}}"}}""");
        Assert.Equal(400, status);
        Assert.Contains("at most 65536 characters", (string?)answer["detail"], StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_locked_pod_is_not_stopped_or_terminated()
    {
        var pod = await pods.CreateAsync("""{"name":"n","template":"shell","args":["exec sleep 1000"]}""");
        await pods.UntilAsync(pod, "RUNNING");
        Assert.True((bool)(await ChangeAsync(pod, """{"locked":true}"""))["locked"]!);
        Assert.Equal(409, await pods.ActAsync(pod, "stop"));
        Assert.Equal(409, await pods.ActAsync(pod, "restart"));
        Assert.Equal(409, (await pods.SendAsync(HttpMethod.Delete, $"/api/v1/pods/{pod}")).Status);
        Assert.False((bool)(await ChangeAsync(pod, """{"locked":false}"""))["locked"]!);
        Assert.Equal(200, await pods.ActAsync(pod, "stop"));
        await pods.UntilAsync(pod, "EXITED");
    }

    [Fact]
    public async Task A_program_that_exits_is_started_again_and_one_without_restart_stops()
    {
        var failing = await pods.CreateAsync("""{"name":"n","template":"shell","args":["echo x >> file; exit 3"]}""");
        var once = await pods.CreateAsync("""{"name":"n","template":"shell","args":["exit 4"],"restart":false}""");
        Assert.Contains("exit code 4", (string?)(await pods.UntilAsync(once, "EXITED"))["reason"],
            StringComparison.Ordinal);
        await pods.Gateway.UntilAsync($"/api/v1/pods/{failing}",
            p => ((string)p["reason"]!).Contains("exit code 3", StringComparison.Ordinal));
        var file = Path.Combine(pods.Gateway.Folder, "data", "pods", failing, "file");
        await Eventually.HoldsAsync(async () => (await File.ReadAllLinesAsync(file)).Length >= 2);
        Assert.Equal(204, (await pods.SendAsync(HttpMethod.Delete, $"/api/v1/pods/{failing}")).Status);
    }

    [Fact]
    public async Task A_pod_that_the_host_refuses_is_an_error_that_says_what_to_change()
    {
        var image = await pods.CreateAsync("""{"name":"n","image":"busybox:1"}""");
        var forbidden = await pods.CreateAsync("""{"name":"n","template":"forbidden"}""");
        Assert.Contains("SLUICE_POD_HOST=docker", (string?)(await pods.UntilAsync(image, "ERROR"))["reason"],
            StringComparison.Ordinal);
        Assert.Contains("SLUICE_PROCESS_POD_TEMPLATES", (string?)(await pods.UntilAsync(forbidden, "ERROR"))["reason"],
            StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("""{"template":"web"}""", "name")]
    [InlineData("""{"name":"n","template":"web","ports":["x"]}""", "ports[0] is x; expected a port like")]
    [InlineData("""{"name":"n","template":"web","idleTimeout":"soon"}""", "idleTimeout is ")]
    [InlineData("""{"name":"n","template":"no"}""",
        "template is no; expected the name of a template: forbidden, shell, web")]
    [InlineData("""{"name":"n","template":"web","extra":1}""", "extra")]
    [InlineData("""{"name":"n"}""", "an image, or the name of a template")]
    [InlineData("[]", "expected a JSON object")]
    public async Task An_invalid_pod_is_refused_with_the_field_and_its_rule(string body, string error)
    {
        var (status, answer) = await pods.SendAsync(HttpMethod.Post, "/api/v1/pods", body);
        Assert.Equal(400, status);
        Assert.Contains(error, (string?)answer["detail"], StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_stopping_gateway_ends_its_processes_and_the_next_one_starts_them_again()
    {
        var pod = await pods.RunAsync();
        var before = (await GetAsync(pod, "/?write=a")).Json;
        await pods.Gateway.RestartAsync();
        var after = await ApplicationAsync(pod, a => (int)a["process"]! != (int)before["process"]!);
        Assert.Equal("a", (string?)after["file"]);
        await ChildProcess.GoneAsync((int)before["process"]!);
    }

    [Fact]
    public async Task A_pod_is_stopped_when_nobody_uses_it_and_at_its_times()
    {
        var idle = await pods.CreateAsync(
            """{"name":"n","template":"shell","args":["exec sleep 1000"],"idleTimeout":"1s"}""");
        var stops =
            await pods.CreateAsync("""{"name":"n","template":"shell","args":["exec sleep 1000"],"stopAfter":"1s"}""");
        var ends = await pods.CreateAsync(
            """{"name":"n","template":"shell","args":["exec sleep 1000"],"terminateAfter":"1s"}""");
        Assert.Contains("idleTimeout", (string?)(await pods.UntilAsync(idle, "EXITED"))["reason"],
            StringComparison.Ordinal);
        Assert.Contains("stopAfter", (string?)(await pods.UntilAsync(stops, "EXITED"))["reason"],
            StringComparison.Ordinal);
        await pods.Gateway.Log.EventAsync("UserPodGoalChanged", ("Pod", ends), ("Goal", "Terminated"));
        await Eventually.HoldsAsync(() => !Directory.Exists(Path.Combine(pods.Gateway.Folder, "data", "pods", ends)));
        // It was stopped, so a start is another run with all of its time.
        Assert.Equal(200, await pods.ActAsync(stops, "start"));
        await pods.Gateway.Log.EventAsync(
            _ => pods.Gateway.Log.Entries.Count(e => e.Is("UserPodGoalChanged", [("Pod", stops)])) == 2,
            "the second stop");
    }

    [Fact]
    public async Task Messages_of_a_websocket_are_activity()
    {
        var pod = await pods.RunAsync(""","idleTimeout":"10m" """);
        using var socket = await pods.ConnectAsync(pod, [], pods.WithKey());
        await PodsGateway.ReceiveAsync(socket);
        var first = (DateTimeOffset?)null;
        // Each message is activity, which a later one moves.
        await Eventually.HoldsAsync(async () =>
        {
            await socket.SendAsync("hello"u8.ToArray(), System.Net.WebSockets.WebSocketMessageType.Text, true, default);
            await PodsGateway.ReceiveAsync(socket);
            var at = (DateTimeOffset?)(await pods.Gateway.GetAsync($"/api/v1/pods/{pod}"))["lastActiveAt"];
            first ??= at;
            return at - first > TimeSpan.FromSeconds(1);
        });
        var view = await pods.Gateway.GetAsync($"/api/v1/pods/{pod}");
        Assert.Equal((DateTimeOffset)view["lastActiveAt"]! + TimeSpan.FromMinutes(10),
            (DateTimeOffset)view["idleStopAt"]!);
    }

    private Task<PodAnswer> GetAsync(string pod, string path) => pods.OpenAsync(pod, path, headers: [pods.WithKey()]);

    /// <summary>Waits until the application of a pod answers as expected.</summary>
    private async Task<JsonObject> ApplicationAsync(string pod, Func<JsonObject, bool> holds) =>
        (await Eventually.BecomesAsync(() => GetAsync(pod, "/"), a => a.Status == 200 && holds(a.Json),
            "its answer")).Json;

    private async Task<JsonObject> ChangeAsync(string pod, string body)
    {
        var (status, answer) = await pods.SendAsync(HttpMethod.Patch, $"/api/v1/pods/{pod}", body);
        Assert.True(status == 200, answer.ToJsonString());
        return answer;
    }

    private static IEnumerable<string?> Texts(JsonNode? list) => list!.AsArray().Select(n => (string?)n);
}
