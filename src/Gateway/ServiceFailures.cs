namespace Sluice.Gateway;

/// <summary>Which background services ended with an exception. The host stops then, as if it had been asked to, so the exit code must say it.</summary>
internal static class ServiceFailures
{
    /// <summary>The names of the services that failed.</summary>
    public static IReadOnlyList<string> Of(IServiceProvider services) =>
        [.. services.GetServices<IHostedService>().OfType<BackgroundService>().Where(s => s.ExecuteTask is { IsFaulted: true }).Select(s => s.GetType().Name)];
}
