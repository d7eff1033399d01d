using Sluice.ControlPlane.Scheduling;
using Sluice.Hosting;

namespace Sluice.ControlPlane.Pods;

/// <summary>
/// Searches this host periodically for unmanaged pods, concurrently with the reconciler's loop: a daemon that hangs
/// must not delay the renewal of the host's lease. Pods that were found are adopted in the loop.
/// </summary>
internal sealed class UnmanagedPodSearch(
    UnmanagedPodFinder finder,
    PodAdoption adoption,
    ReconcileQueue queue,
    TimeProvider time)
{
    /// <summary>
    /// Interval of the search for unmanaged pods on this host: half of the minute within which an orphan must be
    /// removed.
    /// </summary>
    private static readonly TimeSpan AdoptEvery = TimeSpan.FromSeconds(30);

    /// <summary>Minimum time between searches for the pods of a lost gateway.</summary>
    private static readonly TimeSpan SoonEvery = TimeSpan.FromSeconds(2);

    private readonly TaskCompletionSource completed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private Task<IReadOnlyList<RunningPod>?>? search;
    private DateTimeOffset nextSearch;
    private volatile bool searchNow;
    private volatile bool searchSoon;

    /// <summary>Completes when the pods that already ran here are known.</summary>
    public Task Completed => completed.Task;

    /// <summary>
    /// Requests that this host's pods are compared with their records now: Redis may have lost its last writes.
    /// </summary>
    public void SearchNow()
    {
        adoption.Relist();
        searchNow = true;
        queue.RequestAll();
    }

    /// <summary>Requests a search in one of the next rounds, because a gateway that shares this host is lost.</summary>
    public void SearchSoon() => searchSoon = true;

    /// <summary>
    /// Begins a search when it is due, and adopts the pods of a completed one. Only the reconciler's loop calls it.
    /// </summary>
    public async Task AdoptFoundAsync(CancellationToken ct)
    {
        var due = searchSoon ? nextSearch - AdoptEvery + SoonEvery : nextSearch;
        if (search is null && (searchNow || time.GetUtcNow() >= due))
        {
            (searchNow, searchSoon) = (false, false);
            search = Task.Run(() => SearchAsync(ct), ct);
        }

        if (search is not { IsCompleted: true }) return;
        if (await search is { } found) await adoption.AdoptAsync(found, ct);
        search = null;
        nextSearch = time.GetUtcNow() + AdoptEvery;
        completed.TrySetResult();
    }

    private async Task<IReadOnlyList<RunningPod>?> SearchAsync(CancellationToken ct)
    {
        var found = await finder.FindAsync(ct);
        queue.RequestDue();
        return found;
    }
}
