namespace Sluice.Core.Workers;

/// <summary>
/// Asks a host about pods whose own gateway is silent, beside the loop that wants to know: a daemon that hangs must not hold it. Its owner is the
/// reconciler's loop.
/// </summary>
/// <param name="ask">Whether a pod runs; throws when that cannot be told.</param>
/// <param name="tell">Is told why it cannot, once until there was an answer again.</param>
internal sealed class PodWitness(Func<string, CancellationToken, Task<bool>> ask, Action<string> tell)
{
    /// <summary>Who wants an answer looks each second. One that nobody came for is of another time: the pod may have started since.</summary>
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    private readonly Dictionary<string, (Task<bool> Answer, DateTimeOffset Wanted)> asked = [];
    private bool told;

    /// <summary>Pods that it has been asked about and not yet told of.</summary>
    public int Count => asked.Count;

    /// <summary>Whether a pod runs, as it was told since the last call; null: there was no answer yet.</summary>
    public bool? Lives(string podId, DateTimeOffset now, CancellationToken ct)
    {
        var answer = asked.TryGetValue(podId, out var entry) ? entry.Answer : ask(podId, ct);
        asked[podId] = (answer, now);
        if (!answer.IsCompleted) return null;
        asked.Remove(podId);
        if (answer.IsCompletedSuccessfully)
        {
            told = false;
            return answer.Result;
        }

        if (!told && !ct.IsCancellationRequested) tell(answer.Exception?.GetBaseException().Message ?? "it was cancelled");
        told |= !ct.IsCancellationRequested;
        return null;
    }

    /// <summary>Forgets the pods that nobody wants to know about any more. Questions on their way end by the host's own limit.</summary>
    public void Forget(DateTimeOffset now)
    {
        foreach (var (podId, (_, wanted)) in asked)
            if (now - wanted > Patience) asked.Remove(podId);
    }
}
