using System.Diagnostics;

namespace Sluice.Worker.Batching;

/// <summary>Counts one generation into its model's statistics: each response as it is made and sent, and what became of all.</summary>
internal sealed class GenerationCount(ModelStatistics statistics)
{
    private readonly long begun = Stopwatch.GetTimestamp();
    private long sent = Stopwatch.GetTimestamp();
    private long made;

    /// <summary>How many were sent.</summary>
    public int Responses { get; private set; }

    /// <summary>How many tokens were made.</summary>
    public int Tokens { get; private set; }

    /// <summary>There is text to send, and this is the last of so many tokens; the end of a text need be none.</summary>
    public void Made(int tokens)
    {
        made = Stopwatch.GetTimestamp();
        for (; Tokens < tokens; Tokens++) statistics.Token();
    }

    public void Sent()
    {
        var now = Stopwatch.GetTimestamp();
        statistics.Responded(Responses++, ResponseEnd.Success, Stopwatch.GetElapsedTime(sent, made), Stopwatch.GetElapsedTime(made, now));
        sent = now;
    }

    public void Done() => statistics.Generated(Stopwatch.GetElapsedTime(begun));

    public void Failed(bool gone)
    {
        statistics.Responded(Responses, gone ? ResponseEnd.Cancel : ResponseEnd.Fail, Stopwatch.GetElapsedTime(sent), default);
        statistics.Failed(Stopwatch.GetElapsedTime(begun));
    }
}
