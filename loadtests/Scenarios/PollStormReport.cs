using System.Globalization;
using System.Text;
using Sluice.LoadGenerator;

namespace Sluice.Scenarios;

/// <summary>One traffic, measured once.</summary>
/// <param name="Weather">Name of the storm beside it.</param>
/// <param name="Traffic">What was measured.</param>
/// <param name="Round">What to compare it with.</param>
/// <param name="Result">Its latencies.</param>
/// <param name="Cpu">Of each process that is watched, the share of a core.</param>
internal sealed record PollStormCell(string Weather, string Traffic, int Round, LoadResult Result, double[] Cpu);

/// <summary>The tables of <see cref="PollStorm"/>; medians over the rounds, and ratios within each.</summary>
/// <param name="options">How it was measured.</param>
/// <param name="weathers">Rows, the quiet one first.</param>
/// <param name="traffics">
/// Each with all of those rows; the last one is none, and shows what the storms cost by themselves.
/// </param>
/// <param name="processes">Whose times the cells have.</param>
/// <param name="cells">What was measured.</param>
/// <param name="seen">By the storms' clients, in each round.</param>
internal sealed class PollStormReport(ScenarioOptions options, string[] weathers, string[] traffics, string[] processes, List<PollStormCell> cells,
    Dictionary<string, List<StormClient.Seen>> seen)
{
    public override string ToString()
    {
        var text = new StringBuilder(string.Create(CultureInfo.InvariantCulture,
            $"{options.Rounds} rounds of {options.Slice.TotalSeconds:0.#} s for each cell after one of warming up, in an order of chance. Medians over the rounds; "));
        text.Append("ratios are medians of each round's own, with their range.\n\n")
            .Append("| traffic | storm | answers/s | p50 ms | p99 ms | p50, ratio | **p99, ratio** | p99 of all rounds together, ms | failed |\n")
            .Append("|---|---|---|---|---|---|---|---|---|\n");
        foreach (var traffic in traffics.SkipLast(1))
            foreach (var weather in weathers) text.Append(Latencies(traffic, weather));
        text.Append("\nWhat the storm saw, a second (median, and range over the rounds); its waits are those of answers with 200:\n\n")
            .Append("| storm | 200 | 429 | p50 ms | p99 ms | failed |\n|---|---|---|---|---|---|\n");
        foreach (var weather in weathers.Skip(1))
        {
            var all = seen[weather];
            text.Append(CultureInfo.InvariantCulture, $"| {weather} | {Spread(all.Select(s => s.Answered), "0")} | {Spread(all.Select(s => s.Refused), "0")} ")
                .Append(CultureInfo.InvariantCulture, $"| {Median(all.Select(s => s.P50)):0} | {Median(all.Select(s => s.P99)):0} | {all.Sum(s => s.Failed)} |\n");
        }

        text.Append("\nProcessor time, in percent of one of the cores:\n\n| traffic | storm | ").AppendJoin(" | ", processes)
            .Append(" |\n|---|---|").Append(string.Concat(processes.Select(_ => "---|"))).Append('\n');
        foreach (var traffic in traffics)
            foreach (var weather in weathers)
                text.Append(CultureInfo.InvariantCulture, $"| {traffic} | {weather} | ").AppendJoin(" | ", processes.Select((_, i) =>
                    (100 * Median(Of(traffic, weather).Select(c => c.Cpu[i]))).ToString("0", CultureInfo.InvariantCulture))).Append(" |\n");
        return text.ToString();
    }

    private string Latencies(string traffic, string weather)
    {
        var (these, quiet) = (Of(traffic, weather).ToList(), Of(traffic, weathers[0]).ToDictionary(c => c.Round));
        var together = new LoadResult();
        foreach (var cell in these) together.Merge(cell.Result);
        return string.Create(CultureInfo.InvariantCulture, $"| {traffic} | {weather} | {Median(these.Select(c => c.Result.Rate)):n0} | {Ms(0.5):0.00} | {Ms(0.99):0.0} ")
            + string.Create(CultureInfo.InvariantCulture, $"| {Ratio(0.5)} | **{Ratio(0.99)}** | {together.Latency.Quantile(0.99) / 1e3:0.0} | {together.Failed} |\n");

        double Ms(double quantile) => Median(these.Select(c => c.Result.Latency.Quantile(quantile))) / 1e3;

        string Ratio(double quantile) => weather == weathers[0] ? "1"
            : Spread(these.Select(c => c.Result.Latency.Quantile(quantile) / quiet[c.Round].Result.Latency.Quantile(quantile)), "0.00");
    }

    private IEnumerable<PollStormCell> Of(string traffic, string weather) => cells.Where(c => c.Traffic == traffic && c.Weather == weather);

    private static double Median(IEnumerable<double> values)
    {
        var all = values.Order().ToList();
        return all[all.Count / 2];
    }

    private static string Spread(IEnumerable<double> values, string format)
    {
        var all = values.Order().ToList();
        string Text(double value) => value.ToString(format, CultureInfo.InvariantCulture);
        return $"{Text(all[all.Count / 2])} ({Text(all[0])}-{Text(all[^1])})";
    }
}
