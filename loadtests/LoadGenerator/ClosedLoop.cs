using System.Diagnostics;

namespace Sluice.LoadGenerator;

/// <summary>
/// As many connections as asked for, each sending its next request when the last was answered. It finds the throughput;
/// its latencies are those of a client that waits, not of a crowd (a slow server is asked less: coordinated omission).
/// </summary>
public sealed class ClosedLoop(Target target, int connections) : IDisposable
{
    private readonly RawConnection[] all = [.. Enumerable.Range(0, connections).Select(_ => new RawConnection(target))];

    public async Task<LoadResult> RunAsync(TimeSpan duration, CancellationToken ct)
    {
        var started = Stopwatch.GetTimestamp();
        var parts = await Task.WhenAll(all.Select(c => Task.Run(() => LoopAsync(c, started, duration, ct), ct)));
        var total = new LoadResult();
        foreach (var part in parts) total.Merge(part);
        total.Took = Stopwatch.GetElapsedTime(started);
        return total;
    }

    public void Dispose()
    {
        foreach (var connection in all) connection.Dispose();
    }

    private static async Task<LoadResult> LoopAsync(RawConnection connection, long started, TimeSpan duration, CancellationToken ct)
    {
        var result = new LoadResult();
        while (Stopwatch.GetElapsedTime(started) < duration)
        {
            var sent = Stopwatch.GetTimestamp();
            try
            {
                result.Note(await connection.AskAsync(ct), sent);
            }
            catch (Exception e) when (e is IOException or System.Net.Sockets.SocketException)
            {
                result.Failed++;
            }
        }

        return result;
    }
}
