using Microsoft.Extensions.Logging;
using Sluice.Core.Redis;

namespace Sluice.Core;

/// <summary>
/// Logs failures of work that is repeated. The number of lines is bounded: one per activity and <see cref="RepeatAfter"/> while its cause stays the
/// same, one per second while the cause changes.
/// </summary>
/// <param name="time">The clock of the bounds.</param>
/// <param name="logger">Receives the lines.</param>
public sealed partial class FailureLog(TimeProvider time, ILogger logger)
{
    public static readonly TimeSpan RepeatAfter = TimeSpan.FromSeconds(10);

    private static readonly TimeSpan ChangeAfter = TimeSpan.FromSeconds(1);

    /// <summary>Activities that are remembered, about one per endpoint; when there are more, some lines repeat early.</summary>
    private const int MaxActivities = 2000;

    private readonly Lock gate = new();
    private readonly Dictionary<string, Last> known = [];

    /// <summary>Logs a failure, unless the same one was logged a short time ago.</summary>
    /// <param name="activity">What failed, with the id of its endpoint where it has one.</param>
    /// <param name="e">Why. A fault of Redis is logged without its stack.</param>
    public void Report(string activity, Exception e)
    {
        var fault = RedisFaults.Of(e);
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

        if (fault == RedisFault.None) ActivityBroke(e, activity, hidden);
        else ActivityFailed(activity, fault, hidden, e.Message.Split('\n')[0]);
    }

    /// <summary>Awaits work that nothing else awaits, so that its failure is logged. Never throws.</summary>
    public async Task WatchAsync(string activity, Task work)
    {
        try
        {
            await work;
        }
        catch (OperationCanceledException)
        {
            // It was given up.
        }
        catch (Exception e)
        {
            Report(activity, e);
        }
    }

    private readonly record struct Last(long At, string Cause, int Hidden);

    [LoggerMessage(LogLevel.Warning, "{Activity} failed and is repeated ({Fault}; {Hidden} failures since the last line): {Error}")]
    private partial void ActivityFailed(string activity, RedisFault fault, int hidden, string error);

    [LoggerMessage(LogLevel.Error, "{Activity} failed with an unexpected error and is repeated ({Hidden} failures since the last line)")]
    private partial void ActivityBroke(Exception e, string activity, int hidden);
}
