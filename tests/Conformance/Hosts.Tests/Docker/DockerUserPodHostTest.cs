using System.Text.Json.Nodes;
using Microsoft.Extensions.Logging.Abstractions;
using Sluice.Domain.Declarations;
using Sluice.Domain.Fleet;
using Sluice.Domain.UserPods;
using Sluice.Hosting.Docker;
using Sluice.Hosting.UserPods;
using Sluice.Testing;

namespace Sluice.Hosts.Tests.Docker;

/// <summary>User pods that run as containers of a real daemon.</summary>
[Collection("docker")]
public sealed class DockerUserPodHostTest : UserPodHostConformance, IAsyncLifetime
{
    private readonly DockerDaemon daemon;
    private readonly DockerUserPodHost host;

    public DockerUserPodHostTest(DockerDaemon daemon)
    {
        this.daemon = daemon;
        host = HostOf("first");
    }

    protected override IUserPodHost Host => host;

    protected override UserPodSpec Base { get; } = new()
    {
        Name = "n",
        Image = LocalImages.Base,
        Container = UserPodSpec.DefaultContainer with { Pull = PullPolicy.Never },
        Volume = new PodVolume(),
    };

    protected override string Volume => "/workspace";

    protected override string Server => "exec httpd -f -p \"$PORT\" -h /";

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
        if (DockerDaemon.WhyNot is not null) return;
        // A test that failed may leave containers and volumes behind.
        foreach (var left in Lines(await daemon.DockerAsync("ps", "-aq", "--filter", "label=sluice.userpod")))
            await daemon.DockerAsync("rm", "-f", left);
        foreach (var left in Lines(await daemon.DockerAsync("volume", "ls", "-q", "--filter", "label=sluice.userpod")))
            await daemon.DockerAsync("volume", "rm", "-f", left);
    }

    [Fact]
    public async Task Concurrent_starts_of_two_gateways_leave_one_network()
    {
        string[] named = ["network", "ls", "-q", "--filter", "name=" + DockerSettings.DefaultPodNetwork];
        foreach (var left in Lines(await daemon.DockerAsync(named))) await daemon.DockerAsync("network", "rm", left);
        using var other = HostOf("first");
        // A start fails while two networks have the name, and is repeated.
        await Task.WhenAll(Enumerable.Range(0, 12).Select(async n =>
        {
            var start = Start("exec sleep 1000");
            await Eventually.HoldsAsync(() => TryAsync(n % 2 == 0 ? host : other, start), "the pod was started");
        }));
        Assert.Single(Lines(await daemon.DockerAsync(named)));

        static async Task<bool> TryAsync(IUserPodHost host, UserPodStart start)
        {
            try
            {
                await host.StartAsync(start, _ => { }, default);
                return true;
            }
            catch (UserPodStartException)
            {
                return false;
            }
        }
    }

    [Fact]
    public async Task The_next_gateway_finds_the_containers_with_their_declaration()
    {
        var start = Start("echo up; exec sleep 1000", Base with
        {
            Env = new Dictionary<string, string> { ["PASSWORD"] = "hunter=2", ["A"] = "1" },
            Application = PodApplication.Jupyter,
            IdleTimeout = TimeSpan.FromMinutes(7),
        });
        await StartAsync(start);
        await LinesAsync(start.Pod, "up");
        using var next = HostOf("second");
        var found = Assert.Single(await next.ListAsync(Installation, default));
        Assert.Equal((start.Pod.Id, UserPodInstanceState.Running, start.Fingerprint),
            (found.PodId, found.State, found.Fingerprint));
        Assert.Single(found.Addresses);
        var declared = found.Declared!;
        Assert.Equal("secret", declared.Secret);
        Assert.Equal(start.Pod.Spec.Env.OrderBy(e => e.Key), declared.Spec.Env.OrderBy(e => e.Key));
        Assert.Equal(DeclarationSerializer.Write(start.Pod, UserPodJson.Pod),
            DeclarationSerializer.Write(declared with { Spec = declared.Spec with { Env = start.Pod.Spec.Env } },
                UserPodJson.Pod));
        // The values are in no label, which every program that lists containers can read.
        var labels = (await InspectAsync(start.Pod))["Config"]!["Labels"]!.ToJsonString();
        Assert.DoesNotContain("hunter", labels, StringComparison.Ordinal);
        // Another installation has pods of its own.
        Assert.Empty(await next.ListAsync("another", default));
        await Eventually.CompletesAsync(next.StopAsync(start.Pod, default));
        Assert.Equal(UserPodInstanceState.Exited, (await FindAsync(start.Pod.Id))!.State);
        await EndAsync(start.Pod);
    }

    [Fact]
    public async Task A_daemon_that_is_killed_ends_no_pod_and_each_call_can_be_repeated()
    {
        var start = Start("echo up; exec sleep 1000");
        await StartAsync(start);
        await LinesAsync(start.Pod, "up");
        var before = (string?)(await InspectAsync(start.Pod))["State"]!["StartedAt"];
        await daemon.KillAsync();
        await Assert.ThrowsAnyAsync<InvalidOperationException>(() => host.ListAsync(Installation, default));
        await Assert.ThrowsAnyAsync<InvalidOperationException>(() => host.StopAsync(start.Pod, default));
        // The daemon is down: nothing is known about the pod, so the start was not refused.
        var down = await Assert.ThrowsAnyAsync<InvalidOperationException>(() => StartAsync(start));
        Assert.IsNotType<UserPodStartException>(down);
        await daemon.StartAsync();
        await StartAsync(start);
        Assert.Equal(before, (string?)(await InspectAsync(start.Pod))["State"]!["StartedAt"]);
        await EndAsync(start.Pod);
    }

    [Fact]
    public async Task A_stop_that_the_end_of_the_daemon_interrupts_is_completed_by_the_next_one()
    {
        var start = Start("trap 'echo term' TERM; echo up; while :; do sleep 0.1; done",
            Base with { StopGrace = TimeSpan.FromMinutes(10) });
        await StartAsync(start);
        await LinesAsync(start.Pod, "up");
        var stopping = host.StopAsync(start.Pod, default);
        await LinesAsync(start.Pod, "term");
        await daemon.KillAsync();
        await Assert.ThrowsAnyAsync<InvalidOperationException>(() => stopping.WaitAsync(ChildProcess.Patience));
        await daemon.StartAsync();
        Assert.Equal(UserPodInstanceState.Running, (await FindAsync(start.Pod.Id))!.State);
        var impatient = start.Pod with { Spec = start.Pod.Spec with { StopGrace = TimeSpan.Zero } };
        await Eventually.CompletesAsync(host.StopAsync(impatient, default));
        Assert.StartsWith("ended by SIGKILL", (await FindAsync(start.Pod.Id))!.Exit, StringComparison.Ordinal);
        await EndAsync(start.Pod);
    }

    [Fact]
    public async Task A_missing_image_is_named_in_the_reason_and_can_be_retried()
    {
        var start = Start("exit 0", Base with { Image = "localhost:1/no/such:1.0" });
        var refusal = await Assert.ThrowsAsync<UserPodStartException>(() => StartAsync(start));
        Assert.Contains("localhost:1/no/such:1.0", refusal.Message, StringComparison.Ordinal);
        Assert.True(refusal.CanRetry);
        var none = await Assert.ThrowsAsync<UserPodStartException>(
            () => StartAsync(Start("exit 0", Base with { Image = "" })));
        Assert.False(none.CanRetry);
        Assert.Null(await FindAsync(start.Pod.Id));
    }

    [Fact]
    public async Task A_pod_is_root_in_its_container_and_no_more()
    {
        var start = Start("id -u; grep -E '^(CapBnd|NoNewPrivs)' /proc/self/status; touch /file && echo wrote; "
            + "echo end");
        await StartAsync(start);
        var lines = await LinesAsync(start.Pod, "end");
        Assert.Equal("0", lines[0]);
        Assert.Contains("NoNewPrivs:\t1", lines);
        // CHOWN, DAC_OVERRIDE, FOWNER, FSETID, KILL, SETGID, SETUID, NET_BIND_SERVICE, SYS_CHROOT.
        Assert.Contains("CapBnd:\t00000000000404fb", lines);
        Assert.Contains("wrote", lines);
        await EndAsync(start.Pod);
    }

    protected override Task TouchAsync(UserPod pod, string name) =>
        daemon.DockerAsync("exec", UserPodContainer.Name(pod.Id), "touch", $"/workspace/{name}");

    private DockerUserPodHost HostOf(string id) =>
        new(Settings, new HostId(id), TimeProvider.System, NullLogger<DockerUserPodHost>.Instance);

    private async Task<JsonNode> InspectAsync(UserPod pod) =>
        JsonNode.Parse(await daemon.DockerAsync("inspect", UserPodContainer.Name(pod.Id)))![0]!;

    private static string[] Lines(string text) => text.Split('\n', StringSplitOptions.RemoveEmptyEntries);
}
