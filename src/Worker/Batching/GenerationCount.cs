using System.Diagnostics;

namespace Sluice.Worker.Batching;

/// <summary>Records one generation in the statistics of its model: tokens, responses, and the result.</summary>
/// <param name="statistics">The statistics of the model.</param>
/// <param name="emitted">Number of tokens of the text that another worker generated.</param>
internal sealed class GenerationCount(ModelStatistics statistics, int emitted = 0)
{
    private readonly long started = Stopwatch.GetTimestamp();
    private long sent = Stopwatch.GetTimestamp();
    private long generated;

    /// <summary>Number of sent responses.</summary>
    public int Responses { get; private set; }

    /// <summary>Number of generated tokens, with those of another worker.</summary>
    public int Tokens { get; private set; } = emitted;

    /// <summary>
    /// Records that a response is ready to be sent. The number of tokens can be unchanged, because the end of a text
    /// can have no token.
    /// </summary>
    /// <param name="tokens">Number of tokens generated so far.</param>
    public void RecordTokens(int tokens)
    {
        generated = Stopwatch.GetTimestamp();
        for (; Tokens < tokens; Tokens++) statistics.RecordToken();
    }

    /// <summary>Records that a response was sent.</summary>
    public void RecordSent()
    {
        var now = Stopwatch.GetTimestamp();
        statistics.RecordResponse(
            Responses++,
            ResponseEnd.Success,
            Stopwatch.GetElapsedTime(sent, generated),
            Stopwatch.GetElapsedTime(generated, now));
        sent = now;
    }

    /// <summary>Records the successful end.</summary>
    public void RecordSuccess() => statistics.RecordGeneration(Stopwatch.GetElapsedTime(started));

    /// <summary>Records a failure.</summary>
    /// <param name="gone">Whether the client is disconnected.</param>
    public void RecordFailure(bool gone)
    {
        statistics.RecordResponse(
            Responses,
            gone ? ResponseEnd.Cancel : ResponseEnd.Fail,
            Stopwatch.GetElapsedTime(sent),
            default);
        statistics.RecordFailure(Stopwatch.GetElapsedTime(started));
    }
}
