using Microsoft.Extensions.Logging;

namespace Sluice.Storage.Background;

/// <summary>Restarts a loop that ends with an exception: logs the exception, waits, and calls the loop again.</summary>
/// <param name="name">The name of the loop in the log.</param>
/// <param name="time">The clock for the pauses.</param>
/// <param name="logger">Receives the failures as a bounded number of lines.</param>
public sealed class LoopGuard(string name, TimeProvider time, ILogger logger)
{
    /// <summary>The pause after the first failure; it doubles up to <see cref="LongestPause"/>.</summary>
    public static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(100);

    /// <summary>The longest pause. A failure after a run longer than this counts as a first failure.</summary>
    public static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(5);

    private readonly FailureLog failures = new(time, logger);

    /// <summary>Runs the loop until it returns or is cancelled. Never throws.</summary>
    public async Task RunAsync(Func<CancellationToken, Task> loop, CancellationToken ct)
    {
        for (var pause = FirstPause; !ct.IsCancellationRequested; pause = Longer(pause))
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

    private static TimeSpan Longer(TimeSpan pause) => pause * 2 > LongestPause ? LongestPause : pause * 2;
}
