using Microsoft.Extensions.Logging;
using Sluice.Hosting;

namespace Sluice.ControlPlane.Pods;

/// <summary>Asks the host for running pods that no gateway manages.</summary>
internal sealed partial class UnmanagedPodFinder(
    IPodHost podHost,
    PodOwners owners,
    ILogger<UnmanagedPodFinder> logger)
{
    private readonly ILogger<UnmanagedPodFinder> logger = logger;

    /// <summary>
    /// Searches for running pods that this process does not manage, at the start and periodically: a start that was
    /// reported as failed may have succeeded. The search takes as long as the host's daemon does, so it must not block
    /// other work. Null: the host does not respond now.
    /// </summary>
    public async Task<IReadOnlyList<RunningPod>?> FindAsync(CancellationToken ct)
    {
        try
        {
            return await podHost.AdoptAsync(await owners.ReadAsync(ct), ct);
        }
        catch (Exception e) when (!ct.IsCancellationRequested)
        {
            // Running pods are not affected. The next call may succeed.
            PodListingFailed(e.Message);
            return null;
        }
    }

    [LoggerMessage(LogLevel.Warning, "Pods of this host could not be listed; running pods are not affected: {Error}")]
    private partial void PodListingFailed(string error);
}
