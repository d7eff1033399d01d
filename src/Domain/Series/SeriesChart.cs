namespace Sluice.Domain.Series;

/// <summary>
/// The series of an endpoint, or of all together: one value for each step. Counts are 0 in steps without requests;
/// durations (ms) and levels are null where nothing is known.
/// </summary>
/// <param name="StepSeconds">Seconds of a step.</param>
/// <param name="Times">The starts of the steps, in seconds of Unix time.</param>
/// <param name="Requests">Requests and attempts of jobs that ended in a step.</param>
/// <param name="Errors">Those that failed.</param>
/// <param name="Tokens">Generated tokens.</param>
public sealed record SeriesChart(
    int StepSeconds,
    IReadOnlyList<long> Times,
    IReadOnlyList<long> Requests,
    IReadOnlyList<long> Errors,
    IReadOnlyList<long> Tokens)
{
    public required IReadOnlyList<double?> QueueP50Ms { get; init; }

    public required IReadOnlyList<double?> QueueP95Ms { get; init; }

    public required IReadOnlyList<double?> ColdP50Ms { get; init; }

    public required IReadOnlyList<double?> ColdP95Ms { get; init; }

    public required IReadOnlyList<double?> RunP50Ms { get; init; }

    public required IReadOnlyList<double?> RunP95Ms { get; init; }

    public required IReadOnlyList<double?> FirstTokenP50Ms { get; init; }

    public required IReadOnlyList<double?> FirstTokenP95Ms { get; init; }

    public required IReadOnlyList<double?> TotalP50Ms { get; init; }

    public required IReadOnlyList<double?> TotalP95Ms { get; init; }

    public required IReadOnlyList<long?> Queued { get; init; }

    public required IReadOnlyList<long?> WorkersReady { get; init; }

    public required IReadOnlyList<long?> WorkersStarting { get; init; }

    /// <summary>Makes a chart. Pure.</summary>
    /// <param name="endpoints">The stored steps of each endpoint, of all gateways, in any order.</param>
    /// <param name="seconds">Seconds of a step of the chart, a multiple of the stored ones.</param>
    /// <param name="from">The start of the first step.</param>
    /// <param name="to">The start of the first step that is not shown.</param>
    public static SeriesChart Make(
        IEnumerable<IReadOnlyList<(long Start, SeriesCounts Counts)>> endpoints, int seconds, long from, long to)
    {
        var steps = new SeriesCounts[Math.Max(0, (to - from) / seconds)];
        for (var i = 0; i < steps.Length; i++) steps[i] = new SeriesCounts();
        foreach (var stored in endpoints)
            foreach (var step in stored.Where(s => s.Start >= from && s.Start < to)
                .GroupBy(s => (s.Start - from) / seconds))
            {
                var counts = new SeriesCounts();
                foreach (var (_, part) in step) counts.Add(part);
                steps[step.Key].AddEndpoint(counts);
            }

        IReadOnlyList<T> All<T>(Func<SeriesCounts, T> read) => [.. steps.Select(read)];
        return new SeriesChart(
            seconds, [.. steps.Select((_, i) => from + (i * (long)seconds))], All(s => s.Requests), All(s => s.Errors),
            All(s => s.Tokens))
        {
            QueueP50Ms = All(s => s.Queue.Quantile(0.5)), QueueP95Ms = All(s => s.Queue.Quantile(0.95)),
            ColdP50Ms = All(s => s.Cold.Quantile(0.5)), ColdP95Ms = All(s => s.Cold.Quantile(0.95)),
            RunP50Ms = All(s => s.Run.Quantile(0.5)), RunP95Ms = All(s => s.Run.Quantile(0.95)),
            FirstTokenP50Ms = All(s => s.FirstToken.Quantile(0.5)),
            FirstTokenP95Ms = All(s => s.FirstToken.Quantile(0.95)),
            TotalP50Ms = All(s => s.Total.Quantile(0.5)), TotalP95Ms = All(s => s.Total.Quantile(0.95)),
            Queued = All(s => s.Queued), WorkersReady = All(s => s.Ready), WorkersStarting = All(s => s.Starting),
        };
    }
}
