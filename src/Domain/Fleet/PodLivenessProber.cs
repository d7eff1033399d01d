namespace Sluice.Domain.Fleet;

/// <summary>
/// Asks this host, outside the reconciler's loop, whether pods of a silent gateway still run: a daemon that hangs must
/// not block the loop. Only the reconciler's loop uses it.
/// </summary>
/// <param name="isRunning">Returns whether a pod runs; throws if that is not known.</param>
/// <param name="onFailure">Receives the reason of a failed call, once until a call succeeds again.</param>
public sealed class PodLivenessProber(Func<string, CancellationToken, Task<bool>> isRunning, Action<string> onFailure)
{
    /// <summary>
    /// How long a result is kept. The loop asks each second; a result that was not fetched is outdated, because the pod
    /// may have started since.
    /// </summary>
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    private readonly Dictionary<string, (Task<bool> Answer, DateTimeOffset AskedAt)> pending = [];
    private bool failureReported;

    /// <summary>Number of pods whose result was not fetched yet.</summary>
    public int Count => pending.Count;

    /// <summary>
    /// Returns whether a pod runs, from a call to the host that was begun by an earlier call of this method; null:
    /// there is no result yet.
    /// </summary>
    public bool? IsRunning(string podId, DateTimeOffset now, CancellationToken ct)
    {
        var answer = pending.TryGetValue(podId, out var entry) ? entry.Answer : isRunning(podId, ct);
        pending[podId] = (answer, now);
        if (!answer.IsCompleted) return null;
        pending.Remove(podId);
        if (answer.IsCompletedSuccessfully)
        {
            failureReported = false;
            return answer.Result;
        }

        if (!failureReported && !ct.IsCancellationRequested)
            onFailure(answer.Exception?.GetBaseException().Message ?? "the call was cancelled");
        failureReported |= !ct.IsCancellationRequested;
        return null;
    }

    /// <summary>
    /// Discards the results that were not requested for <see cref="Patience"/>. The host's own time limit ends its
    /// pending calls.
    /// </summary>
    public void DiscardOld(DateTimeOffset now)
    {
        foreach (var (podId, (_, askedAt)) in pending)
            if (now - askedAt > Patience) pending.Remove(podId);
    }
}
