using System.Reflection;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Sluice.ControlPlane.Maintenance;
using Sluice.Gateway.Startup;
using Sluice.Gateway.Webhooks;
using Sluice.Storage.Background;

namespace Sluice.Gateway.Tests;

/// <summary>Tests that a failed background service cannot stop the gateway unnoticed.</summary>
public sealed class BackgroundServicesTest
{
    [Fact]
    public void Every_background_service_is_a_guarded_loop()
    {
        var gateway = typeof(GatewayHost).Assembly;
        var services = gateway.GetReferencedAssemblies()
            .Where(a => a.Name!.StartsWith("Sluice.", StringComparison.Ordinal))
            .Select(Assembly.Load)
            .Append(gateway)
            .SelectMany(a => a.GetTypes())
            .Where(t => t.IsSubclassOf(typeof(BackgroundService)) && !t.IsAbstract)
            .ToList();
        // They are in several assemblies.
        Assert.Contains(typeof(PayloadWatch), services);
        Assert.Contains(typeof(WebhookSender), services);
        foreach (var type in services)
            Assert.True(
                type.IsSubclassOf(typeof(BackgroundLoop)),
                $"{type} is a BackgroundService; expected a BackgroundLoop, which continues after exceptions");
    }

    [Fact]
    public async Task A_failed_service_is_reported_so_that_the_exit_code_is_not_zero()
    {
        var failing = new Failing();
        await using var services = new ServiceCollection().AddSingleton<IHostedService>(failing).BuildServiceProvider();
        Assert.Empty(ServiceFailures.GetNames(services));
        await failing.StartAsync(default);
        await Task.WhenAny(failing.ExecuteTask!);
        Assert.Equal([nameof(Failing)], ServiceFailures.GetNames(services));
    }

    private sealed class Failing : BackgroundService
    {
        protected override Task ExecuteAsync(CancellationToken stoppingToken) =>
            Task.FromException(new InvalidOperationException("it fails"));
    }
}
