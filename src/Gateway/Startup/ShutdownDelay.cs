using Microsoft.AspNetCore.Connections.Features;

namespace Sluice.Gateway.Startup;

/// <summary>
/// Serves requests for a while after the gateway was asked to stop, because a load balancer hears of it late: the
/// Service of Kubernetes after about a second, another one when <c>/readyz</c> has failed a few times. In this time
/// <c>/readyz</c> returns 503, and each response closes its connection.
/// </summary>
/// <param name="delay">How long; zero: it stops immediately.</param>
/// <param name="lifetime">Informs the other parts that the gateway stops.</param>
/// <param name="time">The clock.</param>
/// <param name="logger">Receives the beginning.</param>
internal sealed partial class ShutdownDelay(
    TimeSpan delay, IHostApplicationLifetime lifetime, TimeProvider time, ILogger<ShutdownDelay> logger)
    : IHostedLifecycleService
{
    /// <summary>Asks the client to open a new connection for its next request, if the gateway stops.</summary>
    public Task InvokeAsync(HttpContext context, RequestDelegate next)
    {
        if (lifetime.ApplicationStopping.IsCancellationRequested)
            context.Features.Get<IConnectionLifetimeNotificationFeature>()?.RequestClose();
        return next(context);
    }

    /// <summary>Runs before any part is stopped; the server still accepts connections.</summary>
    public async Task StoppingAsync(CancellationToken cancellationToken)
    {
        if (delay == TimeSpan.Zero) return;
        lifetime.StopApplication();
        GatewayStops(delay.TotalSeconds);
        await Task.Delay(delay, time, cancellationToken)
            .ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    public Task StartingAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StartedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StoppedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    [LoggerMessage(LogLevel.Information,
        "The gateway stops. It serves requests for another {Seconds} s, until load balancers know it")]
    private partial void GatewayStops(double seconds);
}
