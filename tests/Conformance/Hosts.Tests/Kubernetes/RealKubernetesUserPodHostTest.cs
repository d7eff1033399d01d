using Microsoft.Extensions.Logging.Abstractions;
using Sluice.Domain.Declarations;
using Sluice.Domain.Fleet;
using Sluice.Domain.UserPods;
using Sluice.Hosting.Kubernetes;
using Sluice.Hosting.UserPods;
using Sluice.Testing;

namespace Sluice.Hosts.Tests.Kubernetes;

/// <summary>User pods of a real cluster (<see cref="RealCluster"/>); skipped where none is given.</summary>
[Trait("Needs", "cluster")]
public sealed class RealKubernetesUserPodHostTest : UserPodHostConformance, IAsyncLifetime
{
    private RealCluster cluster = null!;
    private KubernetesUserPodHost host = null!;

    protected override IUserPodHost Host => host;

    protected override UserPodSpec Base { get; } = new()
    {
        Name = "n",
        Image = RealCluster.Image,
        Container = UserPodSpec.DefaultContainer with { Pull = PullPolicy.Never },
        Volume = new PodVolume(),
        StopGrace = TimeSpan.FromSeconds(10),
    };

    protected override string Volume => "/workspace";

    protected override string Server => "exec httpd -f -p \"$PORT\" -h /";

    public async ValueTask InitializeAsync()
    {
        Require.Available(RealCluster.WhyNot);
        cluster = new RealCluster();
        await cluster.CreateOwnerAsync();
        host = new KubernetesUserPodHost(RealCluster.Settings, new HostId("gateway-1"), TimeProvider.System,
            NullLogger<KubernetesUserPodHost>.Instance);
    }

    public ValueTask DisposeAsync()
    {
        host?.Dispose();
        cluster?.Dispose();
        return ValueTask.CompletedTask;
    }

    protected override Task TouchAsync(UserPod pod, string name) =>
        cluster.RunAsync(PodNames.OfUserPod(pod.Id), "touch", $"{Volume}/{name}");
}
