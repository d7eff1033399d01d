namespace Sluice.Core.Workers;

/// <summary>
/// Asks a host about pods whose own gateway is silent, beside the loop that wants to know: a daemon that hangs must not hold it. Its owner is the
/// reconciler's loop.
/// </summary>
internal sealed class PodWitness(Func<string, CancellationToken, Task<bool?>> ask)
{
    private readonly Dictionary<string, Task<bool?>> asked = [];

    /// <summary>Whether a pod runs, as it was told since the last call; null: there was no answer yet.</summary>
    public bool? Lives(string podId, CancellationToken ct)
    {
        if (!asked.TryGetValue(podId, out var answer)) asked[podId] = answer = ask(podId, ct);
        if (!answer.IsCompleted) return null;
        asked.Remove(podId);
        return answer.IsCompletedSuccessfully ? answer.Result : null;
    }
}
