using System.Net;
using System.Text.Json.Nodes;
using Microsoft.Extensions.Logging.Abstractions;
using Sluice.Domain.Declarations;
using Sluice.Domain.Fleet;
using Sluice.Hosting;
using Sluice.Hosting.Kubernetes;
using Sluice.Testing;

namespace Sluice.Hosts.Tests.Kubernetes;

/// <summary>Pods of a stub API server, whose kubelet runs them as processes of this machine.</summary>
public sealed class KubernetesHostTest : PodHostConformance, IAsyncLifetime
{
    private readonly string store = Directory.CreateTempSubdirectory("sluice-stub-models-").FullName;
    private StubKubernetes cluster = null!;
    private KubernetesHost host = null!;

    protected override IPodHost Host => host;

    protected override string Server => "exec /usr/bin/python3 -m http.server --bind \"$SLUICE_BIND\" \"$PORT\"";

    protected override string KilledBy => "ended by SIGTERM";

    protected override IReadOnlySet<string> OtherVariables { get; } = new HashSet<string>
    {
        "PATH", "HOME", "SLUICE_BIND", "SLUICE_MODEL_CACHE", "CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES",
        // Variables of the shell.
        "PWD", "SHLVL", "_", "OLDPWD",
    };

    private KubernetesSettings Settings => new()
    {
        Config = cluster.Config,
        Models = new ClaimPath("models"),
        ModelStore = new ClaimPath("store"),
    };

    public async ValueTask InitializeAsync()
    {
        cluster = await StubKubernetes.StartAsync();
        cluster.Kubelet.Claims["models"] = Repository.Models;
        cluster.Kubelet.Claims["store"] = store;
        host = HostOf(Settings, "gateway-1");
    }

    public async ValueTask DisposeAsync()
    {
        host.Dispose();
        await cluster.DisposeAsync();
    }

    [Fact]
    public async Task A_pod_that_is_evicted_says_so_before_it_exits()
    {
        var pod = await StartAsync(Running("trap 'echo bye; exit 0' TERM; echo up; while :; do sleep 0.05; done"));
        await SaidAsync(pod, 1);
        cluster.Kubelet.Evict(NameOf(pod), "EvictionByEvictionAPI", "Eviction API: evicting");
        Assert.Equal("evicted, for example because its node is drained: Eviction API: evicting", await pod.Leaving);
        var exit = await ExitAsync(pod);
        Assert.StartsWith("evicted, for example because its node is drained: Eviction API: evicting: exit code 0", exit,
            StringComparison.Ordinal);
        await ForgetAsync(pod);
    }

    [Fact]
    public async Task A_pod_that_this_gateway_stops_does_not_leave()
    {
        var pod = await StartAsync(Running("echo up; exec sleep 1000"));
        await Eventually.CompletesAsync(Host.StopAsync(pod));
        Assert.True(pod.Exited.IsCompleted);
        Assert.False(pod.Leaving.IsCompleted);
        await ForgetAsync(pod);
    }

    [Fact]
    public async Task A_lost_answer_creates_no_second_pod_and_the_token_is_that_of_the_first()
    {
        cluster.LostAnswers = 2;
        var pod = await StartAsync(Running("echo $SLUICE_POD_TOKEN; exec sleep 1000"));
        await SaidAsync(pod, 1);
        Assert.Equal(pod.Address.Token, pod.LastOutput[0]);
        Assert.Single(cluster.Objects.List("pods"));
        Assert.Equal(1, cluster.Kubelet.Starts[NameOf(pod)]);
        await EndAsync(pod);
    }

    [Fact]
    public async Task A_repeated_order_uses_the_pod_and_the_token_of_the_first()
    {
        var order = Running("echo $SLUICE_POD_TOKEN; exec sleep 1000");
        var (first, second) = (await StartAsync(order), await StartAsync(order));
        Assert.Equal(first.Address.Token, second.Address.Token);
        Assert.Equal(1, cluster.Kubelet.Starts[NameOf(first)]);
        await EndAsync(first);
        await ForgetAsync(second);
    }

    [Fact]
    public async Task A_server_that_is_down_for_a_while_ends_no_pod_and_the_exit_is_found_afterwards()
    {
        var pod = await StartAsync(Running("echo up; read -r line < /dev/zero; exec sleep 1000"));
        var other = await StartAsync(Running("echo up; exec sleep 0.4"));
        var watches = cluster.Watches;
        cluster.IsDown = true;
        cluster.Objects.EndWatches();
        await Eventually.HoldsAsync(() => cluster.Kubelet.IsOver(NameOf(other)));
        Assert.False(other.Exited.IsCompleted);
        cluster.IsDown = false;
        Assert.StartsWith("exit code 0", await ExitAsync(other), StringComparison.Ordinal);
        Assert.False(pod.Exited.IsCompleted);
        await Eventually.HoldsAsync(() => cluster.Watches > watches);
        await ForgetAsync(other);
        await EndAsync(pod);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Pods_are_listed_again_when_the_version_of_the_watch_is_too_old(bool inStream)
    {
        var pod = await StartAsync(Running("echo up; exec sleep 1000"));
        var lists = cluster.Lists;
        cluster.GoneInStream = inStream;
        // Versions that the watch of pods does not see, and then forgets.
        cluster.Objects.Change("configmaps", StubKubernetes.Owner, _ => { });
        cluster.Objects.Compact();
        cluster.Objects.EndWatches();
        await Eventually.HoldsAsync(() => cluster.Lists > lists);
        cluster.Kubelet.Delete(NameOf(pod), 1);
        Assert.StartsWith("ended by SIGTERM", await ExitAsync(pod), StringComparison.Ordinal);
        await ForgetAsync(pod);
    }

    [Fact]
    public async Task A_pod_that_vanishes_while_the_watch_is_interrupted_has_exited()
    {
        var pod = await StartAsync(Running("echo up; exec sleep 1000"));
        cluster.WatchesAreSilent = true;
        cluster.Objects.Remove("pods", NameOf(pod));
        // A new gateway lists the pods; this one learns it from its deletion.
        await Eventually.CompletesAsync(Host.KillAsync(pod));
        Assert.StartsWith("its pod was deleted", await ExitAsync(pod), StringComparison.Ordinal);
        await ForgetAsync(pod);
    }

    [Fact]
    public async Task A_watch_without_events_or_an_end_is_replaced_and_the_pods_are_listed_again()
    {
        var time = new ManualTime();
        using var other = HostOf(Settings, "gateway-2", time);
        var pod = await other.StartAsync(Running("echo up; exec sleep 1000"), _ => { }, CancellationToken.None);
        cluster.WatchesAreSilent = true;
        cluster.Objects.Remove("pods", NameOf(pod));
        var (lists, watches) = (cluster.Lists, cluster.Watches);
        time.Advance(TimeSpan.FromSeconds(134));
        Assert.False(pod.Exited.IsCompleted);
        // The call ends 15 s after its time of 120 s, and the next list follows a pause.
        await Eventually.HoldsAsync(() =>
        {
            time.Advance(TimeSpan.FromSeconds(1));
            return pod.Exited.IsCompleted;
        }, "the list without the pod");
        // The last line of its log follows when it was read before.
        Assert.StartsWith("its pod was deleted", await ExitAsync(pod), StringComparison.Ordinal);
        Assert.True(cluster.Lists > lists);
        await Eventually.HoldsAsync(() => cluster.Watches > watches);
        pod.Dispose();
    }

    [Fact]
    public async Task A_gateway_adopts_the_pods_of_a_lost_one_with_their_token_and_removes_those_that_do_not_run()
    {
        var pod = await StartAsync(Running(Server));
        Assert.Null(await ReadyAsync(pod));
        cluster.Kubelet.Override = Unscheduled("0/1 nodes are available: 1 Insufficient memory.");
        using var cancel = new CancellationTokenSource();
        var steps = new List<string>();
        var waiting = host.StartAsync(Running("exec sleep 1000"), s => steps.Add(s.Text), cancel.Token);
        await Eventually.HoldsAsync(() => steps.Count > 0);
        Assert.Equal("no node has room: 0/1 nodes are available: 1 Insufficient memory.", steps[0]);

        using var next = HostOf(Settings, "gateway-2");
        var seen = new List<FoundPod>();
        var adopted = Assert.Single(await next.AdoptAsync(found =>
        {
            seen.Add(found);
            return false;
        }, CancellationToken.None));
        Assert.All(seen, s => Assert.Equal("gateway-1", s.OrderedBy));
        Assert.Equal(2, seen.Count);
        Assert.Equal(pod.Order.PodId, adopted.Order.PodId);
        Assert.Equal(pod.Address.Token, adopted.Address.Token);
        Assert.Equal(pod.Address.Uri, adopted.Address.Uri);
        Assert.True(adopted.Adopted);
        Assert.Single(cluster.Objects.List("pods"));
        await Assert.ThrowsAsync<InvalidOperationException>(() => waiting);

        await Eventually.CompletesAsync(next.StopAsync(adopted));
        await ExitAsync(pod);
        await Eventually.CompletesAsync(next.ForgetAsync(adopted));
        await ForgetAsync(pod);
    }

    [Fact]
    public async Task A_start_that_cannot_succeed_says_what_an_operator_must_change()
    {
        Assert.StartsWith("the node has no such image, and container.pull is never: no image x",
            await WhyNotAsync("ErrImageNeverPull", "no image x"), StringComparison.Ordinal);
        Assert.StartsWith("the name of the image is invalid",
            await WhyNotAsync("InvalidImageName", ""), StringComparison.Ordinal);
        Assert.Empty(cluster.Objects.List("pods"));
        Assert.Empty(cluster.Objects.List("secrets"));

        using var other = HostOf(Settings with { Owner = "missing" }, "gateway-1");
        var failure = await Assert.ThrowsAsync<InvalidOperationException>(
            () => other.StartAsync(Running(""), _ => { }, CancellationToken.None));
        Assert.Contains("kubectl create configmap missing", failure.Message, StringComparison.Ordinal);
        cluster.Refuse = r => r.Method == "POST" ? HttpStatusCode.Forbidden : null;
        Assert.Contains("Kubernetes refused the pod in namespace workers: refused by the test: POST",
            await WhyNotAsync(Running("")), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_pod_that_waits_for_room_fails_after_the_timeout_and_one_that_never_fits_at_once()
    {
        cluster.Kubelet.Override = Unscheduled("0/1 nodes are available: 1 Insufficient memory.");
        using var impatient = HostOf(Settings with { ScheduleTimeout = TimeSpan.FromMilliseconds(300) }, "gateway-1");
        var failure = await Assert.ThrowsAsync<InvalidOperationException>(
            () => impatient.StartAsync(Running(""), _ => { }, CancellationToken.None));
        Assert.EndsWith("no node has room: 0/1 nodes are available: 1 Insufficient memory.", failure.Message,
            StringComparison.Ordinal);

        var node = StubKubernetes.Named("node1");
        node["status"] = new JsonObject { ["allocatable"] = new JsonObject { ["memory"] = "1Gi", ["cpu"] = "4" } };
        cluster.Objects.Create("nodes", node);
        var order = Running("");
        var template = order.Deployment.Template with { Container = new ContainerRequirements { Memory = 2L << 30 } };
        var large = order with { Deployment = order.Deployment with { Template = template } };
        Assert.Equal("it never fits: it requests 2 GiB of memory, and the largest node has 1 GiB",
            await WhyNotAsync(large));
    }

    [Fact]
    public async Task An_exit_is_recorded_although_the_pod_cannot_be_deleted()
    {
        var pod = await StartAsync(Running("exit 7"));
        Assert.StartsWith("exit code 7", await ExitAsync(pod), StringComparison.Ordinal);
        cluster.Refuse = r => r.Method == "DELETE" ? HttpStatusCode.Forbidden : null;
        await Host.ForgetAsync(pod).WaitAsync(ChildProcess.Patience, TimeProvider.System);
        Assert.Single(cluster.Objects.List("pods"));
        // The next search removes it.
        cluster.Refuse = _ => null;
        Assert.Empty(await Host.AdoptAsync(_ => false, CancellationToken.None));
        await GoneAsync(pod);
    }

    [Fact]
    public async Task Pods_belong_to_the_owner_that_exists_now()
    {
        await EndAsync(await StartAsync(Running("exec sleep 1000")));
        cluster.Objects.Remove("configmaps", StubKubernetes.Owner);
        cluster.Objects.Create("configmaps", StubKubernetes.Named(StubKubernetes.Owner));
        var pod = await StartAsync(Running("exec sleep 1000"));
        var owner = cluster.Objects.Find("configmaps", StubKubernetes.Owner)!["metadata"]!["uid"];
        var references = cluster.Objects.Find("pods", NameOf(pod))!["metadata"]!["ownerReferences"]!;
        Assert.Equal((string?)owner, (string?)references[0]!["uid"]);
        await EndAsync(pod);
    }

    [Fact]
    public async Task A_pod_that_another_client_deletes_is_not_deleted_again_under_its_name()
    {
        var pod = await StartAsync(Running("echo up; exec sleep 1000"));
        cluster.Kubelet.Delete(NameOf(pod), 1);
        await ExitAsync(pod);
        // Another pod with the same name has another UID.
        cluster.Kubelet.Override = _ => new JsonObject { ["phase"] = "Pending" };
        await Eventually.HoldsAsync(() => cluster.Objects.Find("pods", NameOf(pod)) is null);
        cluster.Objects.Create("pods", StubKubernetes.Named(NameOf(pod)));
        await Eventually.CompletesAsync(Host.ForgetAsync(pod));
        Assert.Single(cluster.Objects.List("pods"));
    }

    protected override async Task GoneAsync(RunningPod pod)
    {
        await Eventually.HoldsAsync(() => cluster.Objects.Find("pods", NameOf(pod)) is null
            && cluster.Objects.Find("secrets", NameOf(pod)) is null);
    }

    private KubernetesHost HostOf(KubernetesSettings settings, string id, TimeProvider? time = null) => new(
        settings, TestModels.Store(store), new HostId(id), time ?? TimeProvider.System,
        NullLogger<KubernetesHost>.Instance);

    private static string NameOf(RunningPod pod) => $"sluice-{pod.Order.PodId}";

    private async Task<string> WhyNotAsync(string reason, string message)
    {
        cluster.Kubelet.Override = _ => new JsonObject
        {
            ["phase"] = "Pending",
            ["conditions"] = new JsonArray(new JsonObject { ["type"] = "PodScheduled", ["status"] = "True" }),
            ["containerStatuses"] = new JsonArray(new JsonObject
            {
                ["name"] = "worker",
                ["image"] = "",
                ["imageID"] = "",
                ["ready"] = false,
                ["restartCount"] = 0,
                ["state"] = new JsonObject
                {
                    ["waiting"] = new JsonObject { ["reason"] = reason, ["message"] = message },
                },
            }),
        };
        return await WhyNotAsync(Running(""));
    }

    private static Func<JsonObject, JsonObject?> Unscheduled(string message) => _ =>
        new JsonObject
        {
            ["phase"] = "Pending",
            ["conditions"] = new JsonArray(new JsonObject
            {
                ["type"] = "PodScheduled", ["status"] = "False", ["reason"] = "Unschedulable", ["message"] = message,
            }),
        };

    private async Task EndAsync(RunningPod pod)
    {
        await Eventually.CompletesAsync(Host.KillAsync(pod));
        await ExitAsync(pod);
        await ForgetAsync(pod);
    }
}
