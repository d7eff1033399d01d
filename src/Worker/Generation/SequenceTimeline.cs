using System.Diagnostics;

namespace Sluice.Worker.Generation;

/// <summary>
/// The times at which one text reached its stages, as timestamps of the stopwatch. The stages are those of vLLM: queue,
/// prefill, decode. Not thread-safe.
/// </summary>
/// <param name="arrived">When the engine accepted the text.</param>
internal sealed class SequenceTimeline(long arrived)
{
    private long started;
    private long firstToken;
    private long lastToken;

    /// <summary>When the engine accepted the text.</summary>
    public long Arrived => arrived;

    /// <summary>Whether the text got a row.</summary>
    public bool HasStarted => started > 0;

    /// <summary>Whether a token was generated.</summary>
    public bool HasTokens => firstToken > 0;

    /// <summary>Time from the arrival to the first row.</summary>
    public TimeSpan Queue => Stopwatch.GetElapsedTime(arrived, started);

    /// <summary>Time from the first row to the first token.</summary>
    public TimeSpan Prefill => Stopwatch.GetElapsedTime(started, firstToken);

    /// <summary>Time from the first token to the last one.</summary>
    public TimeSpan Decode => Stopwatch.GetElapsedTime(firstToken, lastToken);

    /// <summary>Time from the first row to the last token.</summary>
    public TimeSpan Inference => Stopwatch.GetElapsedTime(started, lastToken);

    /// <summary>Time from the arrival to the last token.</summary>
    public TimeSpan Total => Stopwatch.GetElapsedTime(arrived, lastToken);

    /// <summary>Records that the text got a row. Rows after a preemption have no effect.</summary>
    public void OnStarted(long now)
    {
        if (started == 0) started = now;
    }

    /// <summary>
    /// Records a token, and returns the time since the token before it. The first token returns the time since the
    /// arrival.
    /// </summary>
    public TimeSpan OnToken(long now)
    {
        var since = Stopwatch.GetElapsedTime(HasTokens ? lastToken : arrived, now);
        if (!HasTokens) firstToken = now;
        lastToken = now;
        return since;
    }
}
