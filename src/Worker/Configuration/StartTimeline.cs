using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;

namespace Sluice.Worker.Configuration;

/// <summary>
/// Measures the stages from the start of the process to readiness, in milliseconds. The readiness response contains
/// them.
/// </summary>
public sealed class StartTimeline
{
    private readonly ConcurrentQueue<(string Stage, double Ms)> stages = [];
    private readonly long processStart;
    private double last;
    private double sinceStart;

    /// <summary>Creates a timeline that starts at the start of the process.</summary>
    public StartTimeline()
    {
        // The kernel reports the start time in ticks of 10 ms, so the first stage has this accuracy.
        using var self = Process.GetCurrentProcess();
        var age = TimeProvider.System.GetUtcNow() - self.StartTime.ToUniversalTime();
        processStart = Stopwatch.GetTimestamp() - (long)(age.TotalSeconds * Stopwatch.Frequency);
        Mark("runtime");
    }

    private StartTimeline(long start) => processStart = start;

    /// <summary>
    /// Creates a timeline that starts now. For a standby worker, whose start is the time when it receives its
    /// variables.
    /// </summary>
    public static StartTimeline FromNow() => new(Stopwatch.GetTimestamp());

    /// <summary>Ends a stage of the loading thread. The stage started at the end of the previous one.</summary>
    public void Mark(string stage)
    {
        var now = Elapsed();
        stages.Enqueue((stage, now - last));
        last = now;
    }

    /// <summary>Ends a stage of another thread. The stage started at the start of the timeline.</summary>
    public void MarkSinceStart(string stage)
    {
        sinceStart = Elapsed();
        stages.Enqueue((stage, sinceStart));
    }

    /// <summary>Returns the stages as the value of a <c>Server-Timing</c> header.</summary>
    public string ServerTiming() => string.Join(", ", stages.Append(("total", Math.Max(last, sinceStart)))
        .Select(s => string.Create(CultureInfo.InvariantCulture, $"{s.Item1};dur={s.Item2:0.#}")));

    private double Elapsed() => Stopwatch.GetElapsedTime(processStart).TotalMilliseconds;
}
