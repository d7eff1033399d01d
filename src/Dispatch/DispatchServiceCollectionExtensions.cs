using Microsoft.Extensions.DependencyInjection;

namespace Sluice.Dispatch;

/// <summary>Registers the dispatcher of slots and the signals of jobs.</summary>
public static class DispatchServiceCollectionExtensions
{
    /// <summary>
    /// Adds dispatch. Requires the services of <c>AddSluiceStorage</c>, which must be added before: hosted services
    /// stop in the reverse order. Hosted services, in this order: <see cref="Dispatcher"/>, <see cref="JobSignals"/>.
    /// </summary>
    /// <param name="services">The services of the gateway.</param>
    /// <param name="gatewayId">Identifies the gateway; unique among all gateways and across restarts.</param>
    public static IServiceCollection AddSluiceDispatch(this IServiceCollection services, GatewayId gatewayId)
    {
        services.AddSingleton(gatewayId).AddSingleton<Dispatcher>().AddSingleton<JobSignals>();

        services.AddHostedService(s => s.GetRequiredService<Dispatcher>());
        services.AddHostedService(s => s.GetRequiredService<JobSignals>());
        return services;
    }
}
