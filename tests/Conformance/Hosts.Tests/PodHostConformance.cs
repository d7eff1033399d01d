using System.Net;
using Sluice.ControlPlane.Pods;
using Sluice.Domain.Declarations;
using Sluice.Hosting;
using Sluice.Testing;

namespace Sluice.Hosts.Tests;

/// <summary>The requirements of every host, tested on real processes and real containers.</summary>
public abstract class PodHostConformance
{
    private readonly ReadinessProbe probe = new(TimeProvider.System);

    /// <summary>The host, with the built-in worker and the sample models.</summary>
    protected abstract IPodHost Host { get; }

    /// <summary>
    /// Shell command of the smallest HTTP server that is available in the host's pods, on <c>$PORT</c>.
    /// </summary>
    protected abstract string Server { get; }

    /// <summary>How the exit of a killed pod begins.</summary>
    protected virtual string KilledBy => "ended by SIGKILL";

    /// <summary>Variables that a pod may have in addition to its own.</summary>
    protected abstract IReadOnlySet<string> OtherVariables { get; }

    /// <summary>Waits until nothing of a forgotten pod is left on the host.</summary>
    protected abstract Task GoneAsync(RunningPod pod);

    [Fact]
    public async Task A_pod_that_listens_becomes_ready_serves_and_exits_on_sigterm()
    {
        var pod = await StartAsync(Running(Server));
        Assert.Null(await probe.WaitReadyAsync(pod, null, CancellationToken.None));

        await Eventually.CompletesAsync(Host.StopAsync(pod));

        Assert.StartsWith("ended by SIGTERM", await ExitAsync(pod), StringComparison.Ordinal);
        await ForgetAsync(pod);
    }

    [Fact]
    public async Task The_built_in_worker_answers_only_requests_with_its_token()
    {
        var pod = await StartAsync(BuiltIn());
        Assert.Null(await probe.WaitReadyAsync(pod, null, CancellationToken.None));

        Assert.Equal(HttpStatusCode.OK, await StatusAsync(pod, pod.Address.Token));
        Assert.Equal(HttpStatusCode.Unauthorized, await StatusAsync(pod, null));
        Assert.Equal(HttpStatusCode.Unauthorized, await StatusAsync(pod, new string('0', 64)));
        Assert.Contains(pod.Stages, s => s.Name == "model");
        await Eventually.CompletesAsync(Host.StopAsync(pod));
        Assert.StartsWith("exit code 0", await ExitAsync(pod), StringComparison.Ordinal);
        await ForgetAsync(pod);
    }

    [Fact]
    public async Task A_pod_that_ignores_sigterm_is_killed_after_its_grace_period()
    {
        var order = Running("trap '' TERM; echo up; while :; do read -r line < /dev/zero; done");
        var template = order.Deployment.Template with { StopGrace = TimeSpan.FromSeconds(0.5) };
        var pod = await StartAsync(order with { Deployment = order.Deployment with { Template = template } });
        await SaidAsync(pod, 1);
        await Eventually.CompletesAsync(Host.StopAsync(pod));
        Assert.StartsWith("ended by SIGKILL", await ExitAsync(pod), StringComparison.Ordinal);
        await ForgetAsync(pod);
    }

    [Fact]
    public async Task A_kill_ends_a_pod_immediately()
    {
        var pod = await StartAsync(Running("echo up; exec sleep 1000"));
        await SaidAsync(pod, 1);
        await Eventually.CompletesAsync(Host.KillAsync(pod));
        Assert.StartsWith(KilledBy, await ExitAsync(pod), StringComparison.Ordinal);
        await ForgetAsync(pod);
    }

    [Fact]
    public async Task An_exit_before_readiness_is_reported_with_the_last_output()
    {
        (string Command, string Why)[] exits =
        [
            ("exit 7", "exit code 7"),
            ("echo no such model; exit 1", "exit code 1: no such model"),
            ("echo no such file >&2; exit 2", "exit code 2: no such file"),
            ("echo the cause; echo; echo and advice; echo; echo ' '; exit 3", "exit code 3: the cause | and advice"),
            ("kill -9 $$", "ended by SIGKILL"),
        ];
        foreach (var (command, why) in exits)
        {
            var pod = await StartAsync(Running(command));
            Assert.Equal(why, await probe.WaitReadyAsync(pod, null, CancellationToken.None));
            await ForgetAsync(pod);
        }
    }

    [Fact]
    public async Task The_built_in_worker_serves_a_model_that_its_host_downloads_and_keeps_while_the_pod_exists()
    {
        using var server = new ModelServer();
        var file = Path.Combine(Repository.Models, "digits", "1", "model.onnx");
        server.Add("/m.onnx", await File.ReadAllBytesAsync(file, TestContext.Current.CancellationToken));
        var order = BuiltIn();
        var endpoint = order.Deployment.Endpoint with
        {
            Model = new ModelDeclaration { Source = $"{server.Uri}m.onnx" },
        };
        var pod = await StartAsync(order with { Deployment = order.Deployment with { Endpoint = endpoint } });
        Assert.Null(await probe.WaitReadyAsync(pod, null, CancellationToken.None));
        Assert.Equal("download", pod.HostStages[0].Name);
        Assert.Single(server.Requests);
        var store = Path.GetFullPath(Path.Combine(pod.Model!.Folder, "..", "..", ".."));
        using (var other = TestModels.Store(store)) Assert.True(Assert.Single(other.List()).Entry.InUse);
        await Eventually.CompletesAsync(Host.StopAsync(pod));
        Assert.StartsWith("exit code 0", await ExitAsync(pod), StringComparison.Ordinal);
        await ForgetAsync(pod);
        using (var other = TestModels.Store(store)) Assert.False(Assert.Single(other.List()).Entry.InUse);
        Directory.Delete(store, recursive: true);
    }

    [Fact]
    public async Task A_program_that_does_not_exist_is_named_in_the_reason()
    {
        var order = Running("") with { Deployment = Deployed(["/no/such/program"]) };
        Assert.Contains("/no/such/program", await WhyNotAsync(order), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_pod_that_is_not_ready_in_time_is_reported()
    {
        var deployed = Deployed(["/bin/sh", "-c", "echo up; exec sleep 1000"]);
        var template = deployed.Template with { StartTimeout = TimeSpan.FromMilliseconds(200) };
        var order = Running("") with { Deployment = deployed with { Template = template } };
        var pod = await StartAsync(order);
        var why = await probe.WaitReadyAsync(pod, null, CancellationToken.None);
        Assert.StartsWith("not ready at / within 200ms: GET http://", why, StringComparison.Ordinal);
        await Eventually.CompletesAsync(Host.KillAsync(pod));
        await ExitAsync(pod);
        await ForgetAsync(pod);
    }

    [Fact]
    public async Task Two_pods_of_one_endpoint_do_not_share_an_address_or_a_token()
    {
        var pods = await Task.WhenAll(StartAsync(Running(Server)), StartAsync(Running(Server)));
        foreach (var pod in pods) Assert.Null(await probe.WaitReadyAsync(pod, null, CancellationToken.None));
        Assert.NotEqual(pods[0].Address.Uri, pods[1].Address.Uri);
        Assert.NotEqual(pods[0].Address.Token, pods[1].Address.Token);
        foreach (var pod in pods) await Eventually.CompletesAsync(Host.StopAsync(pod));
        foreach (var pod in pods) await ForgetAsync(pod);
    }

    [Fact]
    public async Task A_pod_gets_its_settings_and_none_of_the_gateways_variables()
    {
        Environment.SetEnvironmentVariable("SLUICE_ADMIN_KEY", "very-secret-admin-key");
        Environment.SetEnvironmentVariable("AWS_SECRET_ACCESS_KEY", "also-secret");
        var pod = await StartAsync(Running("env"));
        await ExitAsync(pod);

        var lines = pod.LastOutput;
        Assert.DoesNotContain(lines, l => l.Contains("secret", StringComparison.OrdinalIgnoreCase));
        Assert.Contains("SLUICE_POD_ID=" + pod.Order.PodId, lines);
        Assert.Contains("SLUICE_POD_TOKEN=" + pod.Address.Token, lines);
        Assert.Contains("SLUICE_MODELS=digits", lines);
        Assert.Contains("MODE=fast", lines);
        Assert.Matches("^[0-9a-f]{64}$", pod.Address.Token);
        string[] own =
        [
            "SLUICE_MODEL_REPOSITORY", "SLUICE_MODELS", "SLUICE_MAX_BODY_BYTES", "MODE",
            "SLUICE_POD_ID", "SLUICE_POD_TOKEN", "SLUICE_PORT", "PORT",
        ];
        var names = lines.Select(l => l.Split('=')[0]).ToHashSet();
        Assert.Empty(own.Except(names));
        Assert.Empty(names.Except(own).Except(OtherVariables));
        await ForgetAsync(pod);
    }

    [Fact]
    public async Task A_pod_without_assigned_devices_sees_none()
    {
        var pod = await StartAsync(Running("env") with { Devices = [] });
        await ExitAsync(pod);
        Assert.Contains("CUDA_VISIBLE_DEVICES=-1", pod.LastOutput);
        Assert.Contains("NVIDIA_VISIBLE_DEVICES=void", pod.LastOutput);
        await ForgetAsync(pod);
    }

    [Fact]
    public async Task The_last_lines_are_kept_complete_and_limited()
    {
        const string script = "i=0; while [ $i -lt 200 ]; do i=$((i+1)); echo line $i; done; "
            + "printf '%01000d\\n' 7; printf 'no newline'";
        var pod = await StartAsync(Running(script));
        await ExitAsync(pod);
        var lines = pod.LastOutput;
        Assert.Equal(40, lines.Count);
        Assert.Equal("no newline", lines[^1]);
        Assert.Equal(new string('0', 500) + "...", lines[^2]);
        Assert.Equal("line 200", lines[^3]);
        await ForgetAsync(pod);
    }

    [Fact]
    public async Task Child_processes_of_a_pod_do_not_outlive_it()
    {
        var pod = await StartAsync(Running("sleep 1000 & echo $!; wait"));
        await SaidAsync(pod, 1);
        await Eventually.CompletesAsync(Host.KillAsync(pod));
        await ExitAsync(pod);
        await ForgetAsync(pod);
    }

    [Fact]
    public async Task A_managed_pod_is_not_returned_for_adoption()
    {
        var pod = await StartAsync(Running("echo up; exec sleep 1000"));
        Assert.Empty(await Host.AdoptAsync(found => found.PodId == pod.Order.PodId, CancellationToken.None));
        Assert.False(pod.Exited.IsCompleted);
        await Eventually.CompletesAsync(Host.KillAsync(pod));
        await ExitAsync(pod);
        await ForgetAsync(pod);
    }

    protected Task<RunningPod> StartAsync(PodSpec order) => Host.StartAsync(order, _ => { }, CancellationToken.None);

    /// <summary>Waits for the exit of a pod, and returns its reason.</summary>
    protected static Task<string> ExitAsync(RunningPod pod) =>
        Eventually.CompletesAsync(pod.Exited, $"the exit of {pod.Name}");

    /// <summary>Waits until the pod has written this number of lines.</summary>
    protected static Task SaidAsync(RunningPod pod, int lines) => SaidAsync(pod, said => said.Count >= lines);

    protected static async Task SaidAsync(RunningPod pod, Func<IReadOnlyList<string>, bool> enough)
    {
        while (true)
        {
            var next = pod.NextLine;
            if (enough(pod.LastOutput)) return;
            await Eventually.CompletesAsync(Task.WhenAny(next, pod.Exited), "the next line of a pod");
            Assert.False(pod.Exited.IsCompleted && !enough(pod.LastOutput), "the pod exited before");
        }
    }

    /// <summary>Returns why an order fails, at any step.</summary>
    protected async Task<string> WhyNotAsync(PodSpec order)
    {
        try
        {
            var pod = await StartAsync(order);
            var why = await probe.WaitReadyAsync(pod, null, CancellationToken.None);
            await ForgetAsync(pod);
            return why ?? "ready";
        }
        catch (InvalidOperationException e)
        {
            return e.Message;
        }
    }

    protected async Task ForgetAsync(RunningPod pod)
    {
        await Eventually.CompletesAsync(Host.ForgetAsync(pod));
        await GoneAsync(pod);
    }

    protected Task<string?> ReadyAsync(RunningPod pod) => probe.WaitReadyAsync(pod, null, CancellationToken.None);

    protected static async Task<HttpStatusCode> StatusAsync(RunningPod pod, string? token)
    {
        using var client = WorkerProcess.ClientFor(pod.Address.Uri, token);
        using var answer = await client.GetAsync(new Uri("/v2/models/digits", UriKind.Relative));
        return answer.StatusCode;
    }

    /// <summary>An order for the sample model <c>digits</c> on the built-in worker.</summary>
    protected static PodSpec BuiltIn() =>
        new(new Deployment(new Endpoint { Id = "digits", Template = "onnx" }, new Template { Name = "onnx" }), NewId());

    protected static PodSpec Running(string command) => new(Deployed(["/bin/sh", "-c", command]), NewId());

    protected static Deployment Deployed(IReadOnlyList<string> command) => new(
        new Endpoint
        {
            Id = "e",
            Template = "t",
            Models = ["digits"],
            Env = new Dictionary<string, string> { ["MODE"] = "fast" },
        },
        new Template
        {
            Name = "t",
            Command = command,
            Protocol = WorkerProtocol.Http1,
            ReadyPath = "/",
            StartTimeout = TimeSpan.FromSeconds(60),
            StopGrace = TimeSpan.FromSeconds(20),
        });

    private static string NewId() => $"e-{Guid.NewGuid():N}"[..10];
}
