using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Sluice.ControlPlane;
using Sluice.ControlPlane.Machine;
using Sluice.ControlPlane.Manifests;
using Sluice.Dispatch;
using Sluice.Domain.Fleet;
using Sluice.Hosting;
using Sluice.Hosting.Processes;
using Sluice.Storage;
using Sluice.Storage.Jobs;
using Sluice.Testing;

namespace Sluice.Storage.Tests.ControlPlane;

/// <summary>
/// Tests that the registration of each project can create all its services from what its documentation requires.
/// </summary>
public sealed class RegistrationTest(RedisFixture redis) : IClassFixture<RedisFixture>
{
    [Fact]
    public async Task The_storage_can_create_its_services() => await CreateAllAsync(WithStorage());

    [Fact]
    public async Task Dispatch_can_create_its_services() => await CreateAllAsync(WithDispatch());

    [Fact]
    public async Task The_control_plane_can_create_its_services()
    {
        using var host = new ScriptedHost();
        var services = WithDispatch();
        services.AddSingleton<IPodHost>(host).AddSingleton(new HostId("here"));
        services.AddSingleton(new BuiltInWorker(["/nowhere/worker"], "/nowhere"));
        services.AddSluiceControlPlane(new ManifestOptions(null), new GpuInventoryOptions(null, "this-machine"));
        await CreateAllAsync(services);
    }

    private ServiceCollection WithStorage()
    {
        var services = new ServiceCollection();
        services.AddLogging().AddSingleton(TimeProvider.System);
        services.AddSluiceStorage(redis.Store, new PayloadShare(redis.Store, "/nowhere"), "gateway");
        return services;
    }

    private ServiceCollection WithDispatch()
    {
        var services = WithStorage();
        services.AddSluiceDispatch(new GatewayId("gateway"));
        return services;
    }

    /// <summary>Creates every service: the validation at the build covers no service that a function creates.</summary>
    private static async Task CreateAllAsync(ServiceCollection services)
    {
        var ours = services.Where(d => d.ServiceType.FullName!.StartsWith("Sluice.", StringComparison.Ordinal))
            .Select(d => d.ServiceType)
            .ToList();
        Assert.NotEmpty(ours);
        await using var provider = services.BuildServiceProvider(
            new ServiceProviderOptions { ValidateOnBuild = true, ValidateScopes = true });
        Assert.All(ours, type => Assert.NotNull(provider.GetRequiredService(type)));
        Assert.All(provider.GetServices<IHostedService>(), Assert.NotNull);
    }
}
