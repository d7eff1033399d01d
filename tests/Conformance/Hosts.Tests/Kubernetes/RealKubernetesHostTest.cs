using Microsoft.Extensions.Logging.Abstractions;
using Sluice.Domain.Fleet;
using Sluice.Hosting;
using Sluice.Hosting.Kubernetes;
using Sluice.Testing;

namespace Sluice.Hosts.Tests.Kubernetes;

/// <summary>Workers of a real cluster (<see cref="RealCluster"/>); skipped where none is given.</summary>
[Trait("Needs", "cluster")]
public sealed class RealKubernetesHostTest : PodHostConformance, IAsyncLifetime
{
    private readonly string store = Directory.CreateTempSubdirectory("sluice-real-models-").FullName;
    private RealCluster cluster = null!;
    private KubernetesHost host = null!;

    protected override IPodHost Host => host;

    protected override string Server => "exec httpd -f -p \"$PORT\" -h /www";

    protected override string KilledBy => "ended by SIGTERM";

    protected override IReadOnlySet<string> OtherVariables { get; } = new HashSet<string>
    {
        "PATH", "HOSTNAME", "HOME", "SLUICE_BIND", "SLUICE_MODEL_CACHE", "CUDA_VISIBLE_DEVICES",
        "NVIDIA_VISIBLE_DEVICES",
        // Set by deploy/worker.Dockerfile.
        "DOTNET_EnableDiagnostics",
        // Variables of the shell.
        "PWD", "SHLVL", "_", "OLDPWD",
        // Kubernetes adds the address of the API server to each pod.
        "KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT", "KUBERNETES_SERVICE_PORT_HTTPS", "KUBERNETES_PORT",
        "KUBERNETES_PORT_443_TCP", "KUBERNETES_PORT_443_TCP_PROTO", "KUBERNETES_PORT_443_TCP_PORT",
        "KUBERNETES_PORT_443_TCP_ADDR",
    };

    public async ValueTask InitializeAsync()
    {
        Require.Available(RealCluster.WhyNot);
        cluster = new RealCluster();
        await cluster.CreateOwnerAsync();
        host = new KubernetesHost(RealCluster.Settings, TestModels.Store(store), new HostId("gateway-1"),
            TimeProvider.System, NullLogger<KubernetesHost>.Instance);
    }

    public ValueTask DisposeAsync()
    {
        host?.Dispose();
        cluster?.Dispose();
        Directory.Delete(store, recursive: true);
        return ValueTask.CompletedTask;
    }

    protected override Task GoneAsync(RunningPod pod) => cluster.GoneAsync($"sluice-{pod.Order.PodId}");
}
