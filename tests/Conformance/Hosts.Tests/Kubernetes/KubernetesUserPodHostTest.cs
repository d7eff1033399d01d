using System.Net;
using Microsoft.Extensions.Logging.Abstractions;
using Sluice.Domain.Declarations;
using Sluice.Domain.Fleet;
using Sluice.Domain.Gpus;
using Sluice.Domain.UserPods;
using Sluice.Hosting.Kubernetes;
using Sluice.Hosting.UserPods;
using Sluice.Testing;

namespace Sluice.Hosts.Tests.Kubernetes;

/// <summary>User pods of a stub API server, whose kubelet runs them as processes of this machine.</summary>
public sealed class KubernetesUserPodHostTest : UserPodHostConformance, IAsyncLifetime
{
    private StubKubernetes cluster = null!;
    private KubernetesUserPodHost host = null!;

    protected override IUserPodHost Host => host;

    /// <summary>The kubelet of the stub translates paths in variables.</summary>
    protected override UserPodSpec Base { get; } = new()
    {
        Name = "n",
        Image = "any:1",
        Volume = new PodVolume(),
        Env = new Dictionary<string, string> { ["FOLDER"] = "/workspace" },
        StopGrace = TimeSpan.FromSeconds(30),
    };

    protected override string Volume => "\"$FOLDER\"";

    protected override bool Measures => false;

    protected override string Server => "exec /usr/bin/python3 -m http.server \"$PORT\"";

    public async ValueTask InitializeAsync()
    {
        cluster = await StubKubernetes.StartAsync();
        host = HostOf("gateway-1");
    }

    public async ValueTask DisposeAsync()
    {
        host.Dispose();
        await cluster.DisposeAsync();
    }

    public static TheoryData<UserPodSpec, string> Refused { get; } = new()
    {
        { new UserPodSpec { Name = "n" }, "image is ''; expected an image" },
        { Image(new GpuRequirements { Share = Domain.Notation.MemoryShare.Parse("8GiB") }), "gpu.share is set" },
        { Image(null) with { Container = UserPodSpec.DefaultContainer with { User = "jovyan" } },
            "container.user is 'jovyan'; expected numbers" },
        { Image(null) with
            {
                Container = UserPodSpec.DefaultContainer with
                {
                    Mounts = [new ContainerMount { Source = "data", Target = "/data" }],
                },
            },
            "container.mounts[0].source is 'data'; expected no mounts" },
    };

    [Theory]
    [MemberData(nameof(Refused))]
    public async Task What_Kubernetes_or_the_settings_do_not_allow_is_refused_for_good(UserPodSpec spec, string why)
    {
        var refusal = await Assert.ThrowsAsync<UserPodStartException>(() => StartAsync(Start("echo up", spec)));
        Assert.StartsWith(why, refusal.Message, StringComparison.Ordinal);
        Assert.False(refusal.CanRetry);
        Assert.Empty(cluster.Objects.List("pods"));
    }

    [Fact]
    public async Task The_objects_meet_the_restricted_standard_and_the_volume_outlives_the_pod()
    {
        var start = Start("echo up; exec sleep 1000", Base with { Disk = 5L << 30 });
        await StartAsync(start);
        var pod = cluster.Objects.List("pods").Single();
        var (security, container) = (pod["spec"]!["securityContext"]!, pod["spec"]!["containers"]![0]!);
        Assert.True((bool)security["runAsNonRoot"]!);
        Assert.Equal("RuntimeDefault", (string?)security["seccompProfile"]!["type"]);
        Assert.False((bool)container["securityContext"]!["allowPrivilegeEscalation"]!);
        var capabilities = container["securityContext"]!["capabilities"]!;
        Assert.Equal(["ALL"], capabilities["drop"]!.AsArray().Select(c => (string?)c));
        Assert.Null(capabilities["add"]);
        Assert.Equal("5368709120", (string?)container["resources"]!["limits"]!["ephemeral-storage"]);
        Assert.Equal(StubKubernetes.Owner, (string?)pod["metadata"]!["ownerReferences"]![0]!["name"]);
        // Values of the environment may be secret: they are in a Secret only.
        Assert.DoesNotContain("secret\"", pod["metadata"]!["annotations"]!.ToJsonString(), StringComparison.Ordinal);
        var claim = cluster.Objects.List("persistentvolumeclaims").Single();
        Assert.Null(claim["metadata"]!["ownerReferences"]);
        Assert.Equal("10737418240", (string?)claim["spec"]!["resources"]!["requests"]!["storage"]);
        await EndAsync(start.Pod);
        Assert.Empty(cluster.Objects.List("secrets"));
        Assert.Empty(cluster.Objects.List("persistentvolumeclaims"));
    }

    [Fact]
    public async Task A_lost_answer_creates_no_second_pod_and_another_gateway_knows_what_was_declared()
    {
        cluster.LostAnswers = 3;
        var start = Start("echo up; exec sleep 1000");
        await Eventually.HoldsAsync(async () =>
        {
            try
            {
                await StartAsync(start);
                return true;
            }
            catch (InvalidOperationException)
            {
                return false;
            }
        });
        await LinesAsync(start.Pod, "up");
        Assert.Single(cluster.Objects.List("pods"));
        Assert.Equal(1, cluster.Kubelet.Starts.Values.Single());
        using var other = HostOf("gateway-2");
        var found = Assert.Single(await other.ListAsync(Installation, default));
        Assert.Equal(start.Pod.Spec.Env, found.Declared!.Spec.Env);
        Assert.Equal(await host.FindNodeAsync(default), await other.FindNodeAsync(default));
        Assert.Empty(await other.ListAsync("fedcba9876543210", default));
        await EndAsync(start.Pod);
    }

    [Fact]
    public async Task A_pod_that_never_fits_is_refused_for_good_and_leaves_no_pod()
    {
        cluster.Objects.Create("nodes", new()
        {
            ["metadata"] = new System.Text.Json.Nodes.JsonObject { ["name"] = "node-1" },
            ["status"] = new System.Text.Json.Nodes.JsonObject
            {
                ["allocatable"] = new System.Text.Json.Nodes.JsonObject { ["memory"] = "1Gi", ["cpu"] = "2" },
            },
        });
        cluster.Kubelet.Override = _ => new()
        {
            ["phase"] = "Pending",
            ["conditions"] = new System.Text.Json.Nodes.JsonArray(new System.Text.Json.Nodes.JsonObject
            {
                ["type"] = "PodScheduled",
                ["status"] = "False",
                ["reason"] = "Unschedulable",
                ["message"] = "0/1 nodes are available: 1 Insufficient memory.",
            }),
        };
        var spec = Base with { Container = UserPodSpec.DefaultContainer with { Memory = 900L << 30 } };
        var refusal = await Assert.ThrowsAsync<UserPodStartException>(() => StartAsync(Start("exit 0", spec)));
        Assert.Contains("never fits", refusal.Message, StringComparison.Ordinal);
        Assert.False(refusal.CanRetry);
        Assert.Empty(cluster.Objects.List("pods"));
    }

    [Fact]
    public async Task A_server_that_does_not_respond_is_no_refusal()
    {
        var start = Start("echo up; exec sleep 1000");
        await StartAsync(start);
        cluster.IsDown = true;
        var e = await Assert.ThrowsAnyAsync<InvalidOperationException>(
            () => host.HasVolumeAsync(start.Pod.Id, default));
        Assert.IsNotType<UserPodStartException>(e);
        Assert.Contains("does not respond", e.Message, StringComparison.Ordinal);
        e = await Assert.ThrowsAnyAsync<InvalidOperationException>(() => StartAsync(Start("exit 0")));
        Assert.IsNotType<UserPodStartException>(e);
        cluster.IsDown = false;
        await EndAsync(start.Pod);
    }

    [Theory]
    [InlineData("pods")]
    [InlineData("secrets")]
    [InlineData("persistentvolumeclaims")]
    public async Task A_refusal_of_the_server_is_the_reason_and_leaves_no_pod(string kind)
    {
        RefuseToCreate(kind, HttpStatusCode.Forbidden);
        var refusal = await Assert.ThrowsAsync<UserPodStartException>(() => StartAsync(Start("exit 0")));
        Assert.StartsWith("Kubernetes refused the pod in namespace workers: ", refusal.Message,
            StringComparison.Ordinal);
        Assert.Contains("refused by the test", refusal.Message, StringComparison.Ordinal);
        Assert.True(refusal.CanRetry);
        Assert.Empty(cluster.Objects.List("pods"));
    }

    [Theory]
    [InlineData("pods")]
    [InlineData("secrets")]
    [InlineData("persistentvolumeclaims")]
    public async Task A_server_that_is_down_in_the_middle_of_a_start_is_no_refusal(string kind)
    {
        var start = Start("echo up; exec sleep 1000");
        RefuseToCreate(kind, HttpStatusCode.ServiceUnavailable);
        var e = await Assert.ThrowsAnyAsync<InvalidOperationException>(() => StartAsync(start));
        Assert.IsNotType<UserPodStartException>(e);
        cluster.Refuse = _ => null;
        await StartAsync(start);
        await LinesAsync(start.Pod, "up");
        await EndAsync(start.Pod);
    }

    protected override Task TouchAsync(UserPod pod, string name)
    {
        File.WriteAllText(Path.Combine(cluster.Kubelet.Claims[$"sluice-pod-{pod.Id}"], name), "");
        return Task.CompletedTask;
    }

    private void RefuseToCreate(string kind, HttpStatusCode status) => cluster.Refuse = r =>
        r.Method == "POST" && r.Path.Value!.EndsWith("/" + kind, StringComparison.Ordinal) ? status : null;

    private static UserPodSpec Image(GpuRequirements? gpu) => new() { Name = "n", Image = "any:1", Gpu = gpu };

    private KubernetesUserPodHost HostOf(string gateway) => new(
        new KubernetesSettings { Config = cluster.Config, Owner = StubKubernetes.Owner }, new HostId(gateway),
        TimeProvider.System, NullLogger<KubernetesUserPodHost>.Instance);
}
