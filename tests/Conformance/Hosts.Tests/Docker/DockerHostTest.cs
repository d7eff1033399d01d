using System.Text.Json.Nodes;
using Microsoft.Extensions.Logging.Abstractions;
using Sluice.Domain.Declarations;
using Sluice.Domain.Fleet;
using Sluice.Hosting;
using Sluice.Hosting.Docker;
using Sluice.Testing;

namespace Sluice.Hosts.Tests.Docker;

/// <summary>Pods that run as containers of a real daemon.</summary>
[Collection("docker")]
public sealed class DockerHostTest : PodHostConformance, IAsyncLifetime
{
    private readonly DockerDaemon daemon;
    private readonly DockerHost host;
    private readonly string hostId = $"test-{Guid.NewGuid():N}";

    public DockerHostTest(DockerDaemon daemon)
    {
        this.daemon = daemon;
        host = HostOf(Settings);
    }

    protected override IPodHost Host => host;

    protected override string Server => "exec httpd -f -p \"$PORT\" -h /www";

    protected override IReadOnlySet<string> OtherVariables { get; } = new HashSet<string>
    {
        "PATH", "HOSTNAME", "HOME", "SLUICE_BIND", "SLUICE_MODEL_CACHE",
        "CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES",
        // Set by deploy/worker.Dockerfile.
        "DOTNET_EnableDiagnostics", "GLIBC_TUNABLES",
        // Variables of the shell.
        "PWD", "SHLVL", "_", "OLDPWD",
    };

    private DockerSettings Settings => new()
    {
        Daemon = daemon.Address,
        WorkerImage = LocalImages.Worker,
        WorkerGpuImage = LocalImages.Worker,
        Models = Repository.Models,
    };

    public ValueTask InitializeAsync()
    {
        Require.Available(DockerDaemon.WhyNot);
        return ValueTask.CompletedTask;
    }

    public async ValueTask DisposeAsync()
    {
        host.Dispose();
        // A test that failed may leave containers behind.
        var containers = (await OwnAsync()).Split('\n', StringSplitOptions.RemoveEmptyEntries);
        foreach (var left in containers) await daemon.DockerAsync("rm", "-f", left);
    }

    [Fact]
    public async Task A_container_is_confined_by_default_and_by_its_template()
    {
        const string look = "exec 2>&1; id -u; touch /file; touch /tmp/file && echo tmp; touch /models/file; "
            + "grep -E '^(CapEff|CapBnd|NoNewPrivs)' /proc/self/status; exec sleep 1000";
        var deployed = Deployed(["/bin/sh", "-c", look]);
        var needs = new ContainerRequirements { Memory = 64 << 20, Cpus = 0.5, Pids = 20 };
        var template = deployed.Template with { Container = needs };
        var order = Running("") with { Deployment = deployed with { Template = template } };
        var pod = await StartAsync(order);
        await SaidAsync(pod, lines => lines.Any(l => l.StartsWith("NoNewPrivs", StringComparison.Ordinal)));

        var lines = pod.LastOutput;
        Assert.Contains("65532", lines);
        Assert.Contains("tmp", lines);
        Assert.Equal(2, lines.Count(l => l.Contains("Read-only file system", StringComparison.Ordinal)));
        Assert.Contains("CapEff:\t0000000000000000", lines);
        Assert.Contains("CapBnd:\t0000000000000000", lines);
        Assert.Contains("NoNewPrivs:\t1", lines);
        var limits = (await InspectAsync(pod))["HostConfig"]!;
        Assert.Equal(64 << 20, (long)limits["Memory"]!);
        Assert.Equal(500_000_000, (long)limits["NanoCpus"]!);
        Assert.Equal(20, (int)limits["PidsLimit"]!);
        await EndAsync(pod);
    }

    [Fact]
    public async Task A_pod_that_exceeds_its_memory_limit_is_reported_with_the_limit()
    {
        var deployed = Deployed(["/bin/sh", "-c", "tail /dev/zero"]);
        var template = deployed.Template with { Container = new ContainerRequirements { Memory = 32 << 20 } };
        var pod = await StartAsync(Running("") with { Deployment = deployed with { Template = template } });
        Assert.StartsWith("killed: out of memory (limit 32 MiB)", await ExitAsync(pod), StringComparison.Ordinal);
        await ForgetAsync(pod);
    }

    [Fact]
    public async Task A_missing_image_daemon_network_or_gpu_support_is_named_in_the_reason()
    {
        var missing = Running(Server);
        var template = missing.Deployment.Template;
        var image = template with { Image = "localhost:1/no/such:1.0" };
        missing = missing with { Deployment = missing.Deployment with { Template = image } };
        Assert.StartsWith("the Docker daemon has no image localhost:1/no/such:1.0 and could not pull it: ",
            await WhyNotAsync(missing), StringComparison.Ordinal);
        var neverPulled = image with { Container = new ContainerRequirements { Pull = PullPolicy.Never } };
        var never = missing with { Deployment = missing.Deployment with { Template = neverPulled } };
        Assert.Contains("container.pull is 'never'", await WhyNotAsync(never), StringComparison.Ordinal);

        using var unbuilt = HostOf(Settings with { WorkerImage = "sluice-worker:unbuilt" });
        Assert.Contains("make images", await WhyNotAsync(unbuilt, BuiltIn()), StringComparison.Ordinal);
        using var lost = HostOf(Settings with { Network = "no-such-network" });
        var network = await WhyNotAsync(lost, BuiltIn());
        Assert.Contains("SLUICE_DOCKER_NETWORK does not exist", network, StringComparison.Ordinal);
        using var far = HostOf(Settings with { Models = "/no/such/folder" });
        Assert.Contains("SLUICE_DOCKER_MODELS", await WhyNotAsync(far, BuiltIn()), StringComparison.Ordinal);

        var why = await WhyNotAsync(host, BuiltIn() with { Devices = ["GPU-5c89852c-d268-c3f3-1b07-005d5ae1dc3f"] });
        Assert.StartsWith("Docker cannot pass GPUs to containers on this machine: install the NVIDIA", why,
            StringComparison.Ordinal);
        Assert.Contains("could not select device driver", why, StringComparison.Ordinal);
        Assert.Equal("", await OwnAsync());
    }

    [Fact]
    public async Task Mounts_are_only_those_that_the_operator_allows()
    {
        // CreateTempSubdirectory is not used, because other users cannot read its folders.
        var folder = Directory.CreateDirectory(Path.Combine(Path.GetTempPath(), $"sluice-mounted-{Guid.NewGuid():N}"));
        await File.WriteAllTextAsync(Path.Combine(folder.FullName, "word"), "mounted\n");
        var order = Running("exec 2>&1; cat /mnt/word; touch /mnt/other");
        var needs = new ContainerRequirements { Mounts = [new ContainerMount { Source = folder.FullName, Target = "/mnt" }] };
        var template = order.Deployment.Template with { Container = needs };
        order = order with { Deployment = order.Deployment with { Template = template } };
        Assert.Contains("SLUICE_DOCKER_MOUNTS is empty", await WhyNotAsync(order), StringComparison.Ordinal);

        using var generous = HostOf(Settings with { Mountable = [folder.FullName] });
        var pod = await generous.StartAsync(order, _ => { }, CancellationToken.None);
        await ExitAsync(pod);
        Assert.Equal("mounted", pod.LastOutput[0]);
        Assert.Contains("Read-only file system", pod.LastOutput[1], StringComparison.Ordinal);
        await ForgetAsync(pod);
        folder.Delete(recursive: true);
    }

    [Fact]
    public async Task A_volume_that_an_image_declares_gives_no_access_to_the_daemons_disk()
    {
        var folder = Directory.CreateTempSubdirectory("sluice-volume-").FullName;
        await File.WriteAllTextAsync(Path.Combine(folder, "Dockerfile"), $"FROM {LocalImages.Base}\nVOLUME /kept\n");
        await daemon.DockerAsync("build", "-q", "-t", "with-volume:local", folder);
        Directory.Delete(folder, recursive: true);
        // dd writes one MiB more than the limit.
        var order = Running("exec 2>&1; touch /kept/file && echo written; "
            + "dd if=/dev/zero of=/kept/file bs=1048576 count=3; exec sleep 1000");
        var needs = new ContainerRequirements { TmpSize = 2 << 20 };
        var template = order.Deployment.Template with { Image = "with-volume:local", Container = needs };
        var pod = await StartAsync(order with { Deployment = order.Deployment with { Template = template } });
        await SaidAsync(pod, lines => lines.Any(l => l.Contains("No space left", StringComparison.Ordinal)));
        Assert.Contains("written", pod.LastOutput);
        Assert.DoesNotContain((await InspectAsync(pod))["Mounts"]!.AsArray(), m => (string?)m!["Type"] == "volume");
        await EndAsync(pod);
        await daemon.DockerAsync("rmi", "with-volume:local");
    }

    [Fact]
    public async Task A_published_port_forwards_to_the_pod()
    {
        using var published = HostOf(Settings with { Publish = true });
        var pod = await published.StartAsync(Running(Server), _ => { }, CancellationToken.None);
        Assert.Equal("127.0.0.1", pod.Address.Uri.Host);
        Assert.Null(await ReadyAsync(pod));
        await EndAsync(pod);
    }

    [Fact]
    public async Task A_cancelled_start_leaves_no_container()
    {
        using var cancelled = new CancellationTokenSource();
        await cancelled.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(
            () => host.StartAsync(Running(Server), _ => { }, cancelled.Token));
        Assert.Equal("", await OwnAsync());
    }

    [Fact]
    public async Task Another_process_of_this_host_adopts_running_pods_and_removes_the_others()
    {
        var order = BuiltIn() with { Fingerprint = "f-1", Epoch = 7, Devices = [] };
        var (running, ended) = (await StartAsync(order), await StartAsync(Running("echo bye")));
        Assert.Null(await ReadyAsync(running));
        await ExitAsync(ended);
        using var stranger = HostOf(Settings, "another-host");
        Assert.Empty(await stranger.AdoptAsync(_ => false, CancellationToken.None));

        using var next = HostOf(Settings);
        var adopted = Assert.Single(await next.AdoptAsync(_ => false, CancellationToken.None));

        Assert.Equal((order.PodId, "f-1", 7), (adopted.Order.PodId, adopted.Order.Fingerprint, adopted.Order.Epoch));
        Assert.Empty(adopted.Order.Devices!);
        Assert.Equal((running.Address.Uri, running.Address.Token), (adopted.Address.Uri, adopted.Address.Token));
        Assert.Null(await ReadyAsync(adopted));
        // The log of an adopted container is read in the background.
        await Eventually.HoldsAsync(
            () => adopted.LastOutput.Any(l => l.StartsWith("ready: digits", StringComparison.Ordinal)));
        await GoneAsync(ended);
        await Eventually.CompletesAsync(next.StopAsync(adopted));
        Assert.StartsWith("exit code 0", await ExitAsync(running), StringComparison.Ordinal);
        await ForgetAsync(adopted);
        running.Dispose();
        ended.Dispose();
    }

    [Fact]
    public async Task A_pod_whose_image_was_replaced_is_adopted_as_outdated()
    {
        var pod = await StartAsync(Running("echo up; exec sleep 1000") with { Fingerprint = "f-1" });
        using var upgraded = HostOf(Settings with { WorkerImage = LocalImages.Base });
        var adopted = Assert.Single(await upgraded.AdoptAsync(_ => false, CancellationToken.None));
        Assert.NotEqual("f-1", adopted.Order.Fingerprint);
        adopted.Dispose();
        await EndAsync(pod);
    }

    [Fact]
    public async Task A_killed_daemon_stops_no_pod_and_its_successor_is_used()
    {
        var pod = await StartAsync(BuiltIn());
        Assert.Null(await ReadyAsync(pod));

        await daemon.KillAsync();
        var starting = StartAsync(Running(Server));
        Assert.Equal(System.Net.HttpStatusCode.OK, await StatusAsync(pod, pod.Address.Token));
        Assert.False(pod.Exited.IsCompleted);
        await daemon.StartAsync();

        // A start without a daemon waited for it. The earlier pod is still watched.
        var late = await starting;
        Assert.Null(await ReadyAsync(late));
        await EndAsync(late);
        Assert.Equal(System.Net.HttpStatusCode.OK, await StatusAsync(pod, pod.Address.Token));
        await Eventually.CompletesAsync(Host.StopAsync(pod));
        Assert.StartsWith("exit code 0", await ExitAsync(pod), StringComparison.Ordinal);
        await ForgetAsync(pod);
    }

    [Fact]
    public async Task Another_gateway_can_check_whether_a_pod_runs_and_gets_an_error_if_that_is_unknown()
    {
        var pod = await StartAsync(Running("echo up; exec sleep 1000"));
        using var other = HostOf(Settings, "another-host");
        Assert.True(await other.IsRunningAsync(pod.Order.PodId, CancellationToken.None));
        var address = new Uri($"tcp://127.0.0.1:{FreePort.Find()}");
        using var far = HostOf(Settings with { Daemon = address }, "another-host");
        await Assert.ThrowsAsync<EngineException>(() => far.IsRunningAsync(pod.Order.PodId, CancellationToken.None));
        await Eventually.CompletesAsync(host.KillAsync(pod));
        await ExitAsync(pod);
        Assert.False(await other.IsRunningAsync(pod.Order.PodId, CancellationToken.None));
        await ForgetAsync(pod);
        Assert.False(await other.IsRunningAsync(pod.Order.PodId, CancellationToken.None));
    }

    [Fact]
    public async Task A_pod_that_cannot_be_killed_is_kept_until_the_daemon_has_removed_it()
    {
        var time = new ManualTime();
        using var link = new FaultProxy(daemon.Port);
        var settings = Settings with { Daemon = new Uri($"tcp://127.0.0.1:{link.Port}") };
        using var far = new DockerHost(
            settings, TestModels.Store(), new HostId(hostId), time, NullLogger<DockerHost>.Instance);
        var pod = await far.StartAsync(Running("echo up; exec sleep 1000"), _ => { }, CancellationToken.None);
        link.BlackHole();
        await PassAsync(far.KillAsync(pod));
        Assert.StartsWith("unknown: ", await ExitAsync(pod), StringComparison.Ordinal);
        Assert.True(pod.Unsure);

        var forgetting = far.ForgetAsync(pod);
        time.Advance(TimeSpan.FromMinutes(5));
        Assert.False(forgetting.IsCompleted);
        Assert.True(await host.IsRunningAsync(pod.Order.PodId, CancellationToken.None));
        var before = link.Accepted;
        link.HealWithReset();
        // The clock advances in large steps until the host retries. From then on the call has real time to complete.
        await PassAsync(forgetting, () => link.Accepted == before ? 10 : 1);
        await GoneAsync(pod);

        async Task PassAsync(Task task, Func<int>? seconds = null)
        {
            await Eventually.HoldsAsync(() =>
            {
                time.Advance(TimeSpan.FromSeconds(seconds?.Invoke() ?? 10));
                return Task.FromResult(task.IsCompleted);
            }, "the end of the call");
            await task;
        }
    }

    [Fact]
    public async Task A_start_over_a_link_that_loses_responses_creates_one_container()
    {
        using var link = new FaultProxy(daemon.Port);
        using var far = HostOf(Settings with { Daemon = new Uri($"tcp://127.0.0.1:{link.Port}") });
        Assert.Empty(await far.AdoptAsync(_ => false, CancellationToken.None));

        var order = Running(Server);
        var starting = far.StartAsync(order, _ => { }, CancellationToken.None);
        for (var round = 1; round <= 8; round++)
        {
            // Each call progresses a little further than the last one.
            link.LoseAnswers();
            await Task.WhenAny(starting, Task.Delay(TimeSpan.FromMilliseconds(15 * round), TimeProvider.System));
            link.HealWithReset();
            await Task.WhenAny(starting, Task.Delay(TimeSpan.FromMilliseconds(15), TimeProvider.System));
        }

        var pod = await starting;

        Assert.Null(await ReadyAsync(pod));
        var made = await daemon.DockerAsync("ps", "-aq", "--filter", $"label=sluice.pod={order.PodId}");
        Assert.Single(made.Split('\n', StringSplitOptions.RemoveEmptyEntries));
        await Eventually.CompletesAsync(far.KillAsync(pod));
        await ExitAsync(pod);
        await Eventually.CompletesAsync(far.ForgetAsync(pod));
        await GoneAsync(pod);
    }

    [Fact]
    public async Task A_container_that_exists_already_for_an_order_is_used()
    {
        // A create call whose response was lost leaves a container with the order's name that no pod uses.
        var order = Running(Server);
        var body = ContainerSpec.Build(order, Settings, hostId, "a-token");
        using var engine = new EngineClient(daemon.Address, TimeProvider.System);
        var made = await engine.CreateAsync(ContainerSpec.Name(order.PodId), body, CancellationToken.None);

        var pod = await StartAsync(order);

        Assert.StartsWith(ContainerOf(pod), made, StringComparison.Ordinal);
        await EndAsync(pod);
    }

    [Fact]
    public async Task The_removal_of_a_container_by_an_operator_is_reported()
    {
        var pod = await StartAsync(Running("echo up; exec sleep 1000"));
        await SaidAsync(pod, 1);
        await daemon.DockerAsync("rm", "-f", ContainerOf(pod));
        Assert.Matches("^(ended by SIGKILL|its container was removed)", await ExitAsync(pod));
        await ForgetAsync(pod);
    }

    protected override Task GoneAsync(RunningPod pod) => Eventually.HoldsAsync(async () =>
    {
        var left = await daemon.DockerAsync("ps", "-aq", "--filter", $"label=sluice.pod={pod.Order.PodId}");
        return left == "";
    }, "the removal of the container");

    /// <summary>Returns the ids of this test's containers.</summary>
    private Task<string> OwnAsync() => daemon.DockerAsync("ps", "-aq", "--filter", $"label=sluice.host={hostId}");

    private DockerHost HostOf(DockerSettings settings, string? id = null) => new(
        settings, TestModels.Store(), new HostId(id ?? hostId), TimeProvider.System, NullLogger<DockerHost>.Instance);

    private static async Task<string> WhyNotAsync(DockerHost other, PodSpec order)
    {
        var e = await Assert.ThrowsAnyAsync<InvalidOperationException>(
            () => other.StartAsync(order, _ => { }, CancellationToken.None));
        return e.Message;
    }

    private async Task EndAsync(RunningPod pod)
    {
        await Eventually.CompletesAsync(Host.KillAsync(pod));
        await ExitAsync(pod);
        await ForgetAsync(pod);
    }

    private async Task<JsonNode> InspectAsync(RunningPod pod) =>
        JsonNode.Parse(await daemon.DockerAsync("inspect", ContainerOf(pod)))![0]!;

    /// <summary>Returns the container's id from a name such as "container 0f1e2d3c4b5a".</summary>
    private static string ContainerOf(RunningPod pod) => pod.Name.Split(' ')[1];
}
