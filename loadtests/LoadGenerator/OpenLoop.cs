using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Threading.Channels;

namespace Sluice.LoadGenerator;

/// <summary>
/// Sends requests as a Poisson process at a given rate, independent of the server. A latency counts from the intended
/// start, so a stall of the server is charged to all requests that were due during it (Gil Tene: "coordinated
/// omission"). The number of connections grows with the number of concurrent requests, up to a limit.
/// </summary>
public sealed partial class OpenLoop(Target target, double rate, int maxConnections, int seed) : IDisposable
{
    /// <summary>The last part of a wait is spun: a sleep ends too late.</summary>
    private static readonly TimeSpan Spin = TimeSpan.FromMicroseconds(60);

    private readonly RawConnection[] all = [.. Enumerable.Range(0, maxConnections).Select(_ => new RawConnection(target))];

    /// <summary>
    /// Time for which an arrival waits for later arrivals; all of them are sent together. This needs fewer wake-ups,
    /// for loads whose latencies are not measured.
    /// </summary>
    public TimeSpan Lump { get; init; }

    public async Task<LoadResult> RunAsync(TimeSpan duration, CancellationToken ct)
    {
        var arrivals = Channel.CreateUnbounded<long>(new UnboundedChannelOptions { SingleWriter = true });
        var workers = all.Select(c => Task.Run(() => ServeAsync(c, arrivals.Reader, ct), ct)).ToArray();
        var started = Stopwatch.GetTimestamp();
        var schedule = new Thread(() => Schedule(arrivals.Writer, started, duration)) { Priority = ThreadPriority.Highest };
        schedule.Start();
        var parts = await Task.WhenAll(workers);
        var total = new LoadResult();
        foreach (var part in parts) total.Merge(part);
        total.Took = duration;
        return total;
    }

    public void Dispose()
    {
        foreach (var connection in all) connection.Dispose();
    }

    private void Schedule(ChannelWriter<long> arrivals, long started, TimeSpan duration)
    {
        var random = new Random(seed);
        var at = TimeSpan.Zero;
        while ((at += TimeSpan.FromSeconds(-Math.Log(1 - random.NextDouble()) / rate)) < duration)
        {
            WaitUntil(started, at);
            arrivals.TryWrite(started + (long)(at.TotalSeconds * Stopwatch.Frequency));
        }

        arrivals.Complete();
    }

    private void WaitUntil(long started, TimeSpan at)
    {
        var left = at - Stopwatch.GetElapsedTime(started);
        if (left > TimeSpan.Zero && Lump > TimeSpan.Zero) _ = USleep((uint)(left + Lump).TotalMicroseconds);
        else if (left > Spin) _ = USleep((uint)(left - Spin).TotalMicroseconds);
        while (Stopwatch.GetElapsedTime(started) < at) Thread.SpinWait(10);
    }

    private static async Task<LoadResult> ServeAsync(RawConnection connection, ChannelReader<long> arrivals, CancellationToken ct)
    {
        var result = new LoadResult();
        await foreach (var intended in arrivals.ReadAllAsync(ct))
        {
            result.Lateness.Record(Stopwatch.GetElapsedTime(intended));
            connection.FirstByte = () => result.FirstByte.Record(Stopwatch.GetElapsedTime(intended));
            try
            {
                result.Note(await connection.AskAsync(ct), intended);
            }
            catch (Exception e) when (e is IOException or System.Net.Sockets.SocketException)
            {
                result.Failed++;
            }
        }

        return result;
    }

    [LibraryImport("libc", EntryPoint = "usleep")]
    private static partial int USleep(uint us);
}
