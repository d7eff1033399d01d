using System.CommandLine;
using System.Text.Json.Nodes;
using Sluice.Cli;
using Sluice.Cli.Commands;
using Sluice.Testing;

namespace Sluice.InProcess.Tests;

/// <summary>The command <c>sluice</c> at a running gateway.</summary>
[Trait("Needs", "publish")]
public sealed class SluiceCommandTest : IAsyncLifetime
{
    private const string Manifest = """
        templates:
          - { name: onnx-cpu }
          - name: shell
            protocol: http1
            startTimeout: 1h
            command: [/bin/sh, -c, "echo hello from a worker; exec sleep 1000"]
        endpoints:
          - { id: story, template: onnx-cpu, scaling: { min: 1, max: 1 } }
          - { id: talk, template: shell, scaling: { min: 1, max: 1 } }
        ...

        """;

    private InProcessGateway gateway = null!;
    private string keyFile = "";

    public async ValueTask InitializeAsync()
    {
        gateway = await InProcessGateway.StartAsync(Manifest, InProcessGateway.WithWorker());
        keyFile = Path.Combine(gateway.Folder, "key");
        await File.WriteAllTextAsync(keyFile, gateway.Key + "\n");
    }

    public async ValueTask DisposeAsync() => await gateway.DisposeAsync();

    [Fact]
    public async Task An_operator_lists_deploys_scales_and_reads_logs()
    {
        var (code, text, _) = await RunAsync("ls");
        Assert.Equal(0, code);
        Assert.Equal(["ENDPOINT", "story", "talk"], text.TrimEnd().Split('\n').Select(l => l.Split(' ')[0]));

        var file = Path.Combine(gateway.Folder, "more.yaml");
        await File.WriteAllTextAsync(file, "templates:\n  - { name: more, command: [sleep, '${NO_SUCH}'] }\n"
            + "endpoints:\n  - { id: More, template: more }\n");
        (code, text, var error) = await RunAsync("deploy", file, "--dry-run");
        Assert.Equal((1, ""), (code, text));
        Assert.Equal(["sluice: line 2: templates[0].command[1]", "line 4: endpoints[0].id"],
            error.TrimEnd().Split('\n').Select(l => l.Split(" is ")[0]));

        await File.WriteAllTextAsync(file, "templates:\n  - { name: more, command: [sleep, '1'] }\n"
            + "endpoints:\n  - { id: more, template: more, scaling: { max: 2 } }\n");
        Assert.Equal("would create templates/more\nwould create endpoints/more\n0 unchanged\n",
            (await RunAsync("deploy", file, "--dry-run")).Out);
        (code, text, _) = await RunAsync("deploy", file);
        Assert.Equal((0, "created templates/more\ncreated endpoints/more\n0 unchanged\n"), (code, text));
        Assert.Equal("more: max 5\n", (await RunAsync("scale", "more", "--max", "5")).Out);
        Assert.Equal("would change endpoints/more\n  - scaling.max: 5\n  + scaling.max: 2\n1 unchanged\n",
            (await RunAsync("deploy", file, "--diff")).Out);
        Assert.Equal("more: pause QUEUE\n", (await RunAsync("pause", "more")).Out);
        Assert.Contains("paused (QUEUE)", (await RunAsync("ls")).Out, StringComparison.Ordinal);
        Assert.Equal("more: pause NONE\n", (await RunAsync("resume", "more")).Out);
        Assert.Contains("id: more", (await RunAsync("export")).Out, StringComparison.Ordinal);

        await Eventually.HoldsAsync(async () =>
            (await RunAsync("logs", "talk")).Out.EndsWith(" hello from a worker\n", StringComparison.Ordinal),
            "the line of the worker");
        Assert.EndsWith(" hello from a worker\n", (await RunAsync("logs", "talk", "--request", "from")).Out,
            StringComparison.Ordinal);
        Assert.Equal("", (await RunAsync("logs", "talk", "--request", "other")).Out);
    }

    [Fact]
    public async Task The_log_level_of_running_gateways_is_shown_set_and_reset()
    {
        const string setting = "Information (SLUICE_LOG_LEVEL: Information)\n";
        Assert.Equal(setting, (await RunAsync("log-level")).Out);
        Assert.Equal("Warning (SLUICE_LOG_LEVEL: Information)\nYarp Debug\n",
            (await RunAsync("log-level", "warning", "--category", "Yarp=debug")).Out);
        Assert.StartsWith("Debug until ", (await RunAsync("log-level", "Debug", "--for", "1h")).Out,
            StringComparison.Ordinal);
        Assert.Equal(setting, (await RunAsync("log-level", "--reset")).Out);
        var (code, _, error) = await RunAsync("log-level", "--category", "Yarp");
        Assert.NotEqual(0, code);
        Assert.Contains("--category is 'Yarp'; expected CATEGORY=LEVEL.", error, StringComparison.Ordinal);
        (code, _, error) = await RunAsync("log-level", "loud");
        Assert.Equal(1, code);
        Assert.Contains("expected Trace, Debug", error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_message_is_answered_and_a_job_ends()
    {
        var (code, text, _) = await RunAsync("run", "story", "Once upon a time", "--max-tokens", "8");
        Assert.Equal(0, code);
        Assert.NotEmpty(text.Trim());
        (code, text, _) = await RunAsync("jobs", "submit", "story", """{"text_input":"Once"}""", "--wait");
        var job = JsonNode.Parse(text)!;
        Assert.Equal((0, "COMPLETED"), (code, (string?)job["status"]));
        var id = (string)job["id"]!;
        Assert.Contains(id, (await RunAsync("jobs", "ls", "story")).Out, StringComparison.Ordinal);
        (code, text, _) = await RunAsync("jobs", "get", "story", id);
        Assert.Equal(id, (string?)JsonNode.Parse(text)!["id"]);
        Assert.Equal(1, (await RunAsync("jobs", "retry", "story", id)).Code);
    }

    [Fact]
    public async Task A_key_is_created_used_and_revoked()
    {
        var (code, text, _) = await RunAsync("keys", "create", "ann", "--invoke", "story");
        Assert.Equal(0, code);
        var own = Path.Combine(gateway.Folder, "own");
        await File.WriteAllTextAsync(own, text);
        (_, text, _) = await RunAsync(own, ["keys", "self", "--url", gateway.Url.ToString()]);
        var id = (string)JsonNode.Parse(text)!["id"]!;
        var (refused, _, error) = await RunAsync(own, ["keys", "ls", "--url", gateway.Url.ToString()]);
        Assert.Equal(1, refused);
        Assert.StartsWith("sluice: 403", error, StringComparison.Ordinal);
        Assert.Equal($"revoked {id}\n", (await RunAsync("keys", "revoke", id)).Out);
        Assert.DoesNotContain("ann", (await RunAsync("keys", "ls")).Out, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_budget_is_created_listed_and_deleted()
    {
        var (code, text, _) = await RunAsync(
            "budgets", "create", "tag", "2.5", "money", "month", "--target", "team=vision", "--name", "vision");
        Assert.Equal(0, code);
        var id = text.TrimEnd();
        var line = (await RunAsync("budgets", "ls")).Out.Split('\n').Single(l => l.StartsWith(id));
        Assert.Matches($"^{id} +vision +tag team=vision +0 +2.5 +money +month +20", line);
        var (refused, _, error) = await RunAsync("budgets", "create", "key", "1", "tokens", "day");
        Assert.Equal(1, refused);
        Assert.Contains("target", error, StringComparison.Ordinal);
        Assert.Equal($"deleted {id}\n", (await RunAsync("budgets", "delete", id)).Out);
        Assert.DoesNotContain(id, (await RunAsync("budgets", "ls")).Out, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Exit_codes_tell_what_failed()
    {
        Assert.Equal(0, (await RunAsync("doctor")).Code);
        var broken = await RunAsync("scale", "none", "--max", "1");
        Assert.Equal((1, "sluice: 404 Not Found: The endpoint 'none' does not exist.\n"), (broken.Code, broken.Error));
        Assert.Equal(2, (await RunAsync("scale", "story")).Code);
        Assert.Equal(2, (await RunAsync("ls", "things")).Code);
        var (code, _, error) = await RunAsync(keyFile, ["ls", "--url", "http://127.0.0.1:1"]);
        Assert.Equal(3, code);
        Assert.Contains("SLUICE_URL", error, StringComparison.Ordinal);
    }

    [Fact]
    public void A_machine_or_endpoint_that_cannot_serve_has_a_problem()
    {
        // The names are those of the worker's report and of the status of an endpoint.
        Assert.Equal("no driver",
            DoctorCommand.HostProblem(JsonNode.Parse("""{"served":false,"serving":"cpu","verdict":"no driver"}""")));
        Assert.Null(DoctorCommand.HostProblem(JsonNode.Parse("""{"served":true,"serving":"cpu","verdict":"cpu"}""")));
        Assert.Equal("no capacity: all are in use",
            DoctorCommand.EndpointProblem(JsonNode.Parse("""{"noCapacity":{"detail":"all are in use"}}""")));
    }

    private Task<(int Code, string Out, string Error)> RunAsync(params string[] arguments) =>
        RunAsync(keyFile, [.. arguments, "--url", gateway.Url.ToString()]);

    private static async Task<(int Code, string Out, string Error)> RunAsync(string key, string[] arguments)
    {
        await using StringWriter output = new(), error = new();
        var code = await SluiceCommand.RunAsync([.. arguments, "--key-file", key],
            new InvocationConfiguration { Output = output, Error = error });
        return (code, output.ToString(), error.ToString());
    }
}
