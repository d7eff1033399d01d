using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Sluice.ControlPlane.Leadership;
using Sluice.ControlPlane.Machine;
using Sluice.ControlPlane.Maintenance;
using Sluice.ControlPlane.Manifests;
using Sluice.ControlPlane.Pods;
using Sluice.ControlPlane.Reconciliation;
using Sluice.Testing;

namespace Sluice.Storage.Tests.ControlPlane;

public sealed class ControlPlaneServicesTest(RedisFixture redis) : IClassFixture<RedisFixture>
{
    /// <summary>Hosted services stop in the reverse order of their registration.</summary>
    [Fact]
    public async Task Workers_stop_after_the_services_that_need_them_and_before_the_inventory_and_the_manifest()
    {
        using var host = new ScriptedHost();
        await using var services = TestControlPlane.Build(redis.Store, redis.Store, host, TimeProvider.System);
        Assert.Equal(
            [
                typeof(ManifestLoop), typeof(GpuInventory), typeof(WorkerLogWriter), typeof(Reconciler),
                typeof(SchemaUpgrade), typeof(HostDiagnostics), typeof(PayloadWatch), typeof(JobMaintenanceService),
            ],
            services.GetServices<IHostedService>().Select(s => s.GetType()));
    }
}
