using System.Globalization;
using System.Net;
using k8s;
using k8s.Autorest;

namespace Sluice.Hosting.Kubernetes;

/// <summary>
/// Follows the log of one pod. After an interruption it continues after the last line, by the timestamps that the
/// kubelet writes.
/// </summary>
internal sealed class PodLog(IKubernetes client, string ns, string name, TimeProvider time)
{
    /// <summary>Log lines that are read of a pod that was adopted.</summary>
    private const int EarlierLines = 40;

    private static readonly TimeSpan RetryPause = TimeSpan.FromSeconds(0.5);

    private readonly TaskCompletionSource ended = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>The pod has exited: what remains is read, and then the following ends.</summary>
    public void End() => ended.TrySetResult();

    /// <summary>Reads the lines until the pod has exited.</summary>
    /// <param name="adopted">Whether the pod was found running, so that most of its lines were read before.</param>
    /// <param name="onLine">Receives each line.</param>
    /// <param name="ct">Ends the following.</param>
    public async Task FollowAsync(bool adopted, Action<string> onLine, CancellationToken ct)
    {
        var (last, tail) = ("", adopted ? EarlierLines : (int?)null);
        while (!ct.IsCancellationRequested)
        {
            // Read before the log: lines that are written after this moment are in the log of the next call.
            var over = ended.Task.IsCompleted;
            var resumed = last;
            try
            {
                await using var stream = await client.CoreV1.ReadNamespacedPodLogAsync(name, ns, PodNames.Container,
                    follow: !over, tailLines: tail, timestamps: true, cancellationToken: ct);
                await foreach (var line in BoundedLines.ReadAsync(stream, ct))
                {
                    // Example: "2026-11-21T17:00:00.123456789Z text".
                    var space = line.IndexOf(' ', StringComparison.Ordinal);
                    var at = space > 0 ? Sortable(line[..space]) : "";
                    if (at.Length > 0 && string.CompareOrdinal(at, resumed) <= 0) continue;
                    if (at.Length > 0) last = at;
                    onLine(at.Length > 0 ? line[(space + 1)..] : line);
                }

                if (over) return;
            }
            catch (HttpOperationException e) when (e.Response?.StatusCode == HttpStatusCode.NotFound)
            {
                return;
            }
            catch (Exception e) when (KubernetesErrors.IsDown(e) || e is HttpOperationException)
            {
                // The container may not have begun (400), the kubelet or the API server may be unavailable.
                if (over || ct.IsCancellationRequested) return;
            }
            catch (OperationCanceledException)
            {
                return;
            }

            tail = null;
            await Task.WhenAny(Task.Delay(RetryPause, time, ct), ended.Task);
        }
    }

    /// <summary>
    /// Returns a timestamp of RFC 3339 with nine digits, so that text order is time order; empty: it is none.
    /// </summary>
    private static string Sortable(string text)
    {
        if (text.Length < 20
            || !DateTimeOffset.TryParse(text, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var at))
            return "";
        var dot = text.IndexOf('.', StringComparison.Ordinal);
        var digits = dot < 0 ? "" : new string([.. text[(dot + 1)..].TakeWhile(char.IsAsciiDigit)]);
        return $"{at.ToUniversalTime():yyyy-MM-ddTHH:mm:ss}.{digits.PadRight(9, '0')}";
    }
}
