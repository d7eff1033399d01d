using Microsoft.Extensions.Logging;
using Sluice.Storage.Redis;

namespace Sluice.Storage.Background;

/// <summary>
/// Logs failures of repeated work with a bounded number of lines: one line per activity and <see cref="RepeatAfter"/>
/// while the cause stays the same, and one line per second while the cause changes.
/// </summary>
/// <param name="time">The clock for these limits.</param>
/// <param name="logger">Receives the lines.</param>
public sealed partial class FailureLog(TimeProvider time, ILogger logger)
{
    /// <summary>Minimum time between two lines about the same activity and cause.</summary>
    public static readonly TimeSpan RepeatAfter = TimeSpan.FromSeconds(10);

    /// <summary>Minimum time between two lines about the same activity with different causes.</summary>
    private static readonly TimeSpan ChangeAfter = TimeSpan.FromSeconds(1);

    /// <summary>
    /// Maximum number of remembered activities, about one per endpoint. Above it, some lines repeat early.
    /// </summary>
    private const int MaxActivities = 2000;

    private readonly Lock gate = new();
    private readonly Dictionary<string, Last> known = [];

    /// <summary>Logs a failure, unless the same failure was logged less than <see cref="RepeatAfter"/> ago.</summary>
    /// <param name="activity">The failed activity, with the id of its endpoint if it has one.</param>
    /// <param name="e">The cause. A Redis fault is logged without its stack trace.</param>
    public void Report(string activity, Exception e)
    {
        var fault = RedisFaults.Classify(e);
        var cause = $"{fault} {e.GetType().Name}";
        int hidden;
        lock (gate)
        {
            if (known.TryGetValue(activity, out var last)
                && time.GetElapsedTime(last.At) < (last.Cause == cause ? RepeatAfter : ChangeAfter))
            {
                known[activity] = last with { Hidden = last.Hidden + 1 };
                return;
            }

            hidden = last.Hidden;
            if (known.Count >= MaxActivities) known.Clear();
            known[activity] = new Last(time.GetTimestamp(), cause, 0);
        }

        if (fault == RedisFault.None) ActivityFailedUnexpectedly(e, activity, hidden);
        else ActivityFailed(activity, fault, hidden, e.Message.Split('\n')[0]);
    }

    /// <summary>Awaits work that no other code awaits, and logs its failure. Never throws.</summary>
    public async Task WatchAsync(string activity, Task work)
    {
        try
        {
            await work;
        }
        catch (OperationCanceledException)
        {
            // The work was cancelled.
        }
        catch (Exception e)
        {
            Report(activity, e);
        }
    }

    private readonly record struct Last(long At, string Cause, int Hidden);

    [LoggerMessage(LogLevel.Warning,
        "{Activity} failed ({Fault}; {Hidden} similar failures suppressed): {Error}")]
    private partial void ActivityFailed(string activity, RedisFault fault, int hidden, string error);

    [LoggerMessage(LogLevel.Error,
        "{Activity} failed with an unexpected error ({Hidden} similar failures suppressed)")]
    private partial void ActivityFailedUnexpectedly(Exception e, string activity, int hidden);
}
