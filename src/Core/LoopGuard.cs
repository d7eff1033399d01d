using Microsoft.Extensions.Logging;

namespace Sluice.Core;

/// <summary>Repeats a loop that ends with an exception: logs the exception, waits, and calls the loop again.</summary>
/// <param name="name">The loop, for the log.</param>
/// <param name="time">The clock of the pauses.</param>
/// <param name="logger">Receives failures, a bounded number of lines.</param>
public sealed class LoopGuard(string name, TimeProvider time, ILogger logger)
{
    /// <summary>The pause after the first failure; it doubles up to <see cref="LongestPause"/>.</summary>
    public static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(100);

    /// <summary>Also how long a loop must run for its next failure to count as the first one.</summary>
    public static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(5);

    private readonly FailureLog failures = new(time, logger);

    /// <summary>Returns when the loop returns or when it is cancelled. Never throws.</summary>
    public async Task RunAsync(Func<CancellationToken, Task> loop, CancellationToken ct)
    {
        for (var pause = FirstPause; !ct.IsCancellationRequested; pause = pause * 2 > LongestPause ? LongestPause : pause * 2)
        {
            var started = time.GetTimestamp();
            try
            {
                await loop(ct);
                return;
            }
            catch (OperationCanceledException) when (ct.IsCancellationRequested)
            {
                return;
            }
            catch (Exception e)
            {
                failures.Report(name, e);
            }

            if (time.GetElapsedTime(started) > LongestPause) pause = FirstPause;
            await Task.WhenAny(Task.Delay(pause, time, ct));
        }
    }
}
