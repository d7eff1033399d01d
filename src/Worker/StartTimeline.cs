using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;

namespace Sluice.Worker;

/// <summary>Where the time from the process' start to its readiness went, in ms; told with the ready answer.</summary>
public sealed class StartTimeline
{
    private readonly ConcurrentQueue<(string Stage, double Ms)> stages = [];
    private readonly long processStart;
    private double last;
    private double sinceStart;

    public StartTimeline()
    {
        // The kernel counts the start in ticks of 10 ms, so the first stage is exact to that.
        using var self = Process.GetCurrentProcess();
        var age = TimeProvider.System.GetUtcNow() - self.StartTime.ToUniversalTime();
        processStart = Stopwatch.GetTimestamp() - (long)(age.TotalSeconds * Stopwatch.Frequency);
        Mark("runtime");
    }

    private StartTimeline(long start) => processStart = start;

    /// <summary>Of a process that was there already: its time begins when it is told what to serve.</summary>
    public static StartTimeline FromNow() => new(Stopwatch.GetTimestamp());

    /// <summary>Ends a stage of the loading thread; it began where the last one ended.</summary>
    public void Mark(string stage)
    {
        var now = Elapsed();
        stages.Enqueue((stage, now - last));
        last = now;
    }

    /// <summary>Notes a moment of another thread, counted from the process' start.</summary>
    public void MarkSinceStart(string stage)
    {
        sinceStart = Elapsed();
        stages.Enqueue((stage, sinceStart));
    }

    /// <summary>As a <c>Server-Timing</c> header's value.</summary>
    public string ServerTiming() => string.Join(", ", stages.Append(("total", Math.Max(last, sinceStart)))
        .Select(s => string.Create(CultureInfo.InvariantCulture, $"{s.Item1};dur={s.Item2:0.#}")));

    private double Elapsed() => Stopwatch.GetElapsedTime(processStart).TotalMilliseconds;
}
