namespace Sluice.Gateway.Startup;

/// <summary>
/// Finds background services that ended with an exception. The host then stops in the same way as on request, so only
/// the exit code reports the failure.
/// </summary>
internal static class ServiceFailures
{
    /// <summary>Returns the type names of the failed services.</summary>
    public static IReadOnlyList<string> GetNames(IServiceProvider services) =>
        [.. services.GetServices<IHostedService>().OfType<BackgroundService>()
            .Where(s => s.ExecuteTask is { IsFaulted: true }).Select(s => s.GetType().Name)];
}
