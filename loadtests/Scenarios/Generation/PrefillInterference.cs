using System.Globalization;
using System.Text;
using Sluice.LoadGenerator;
using Sluice.Testing.Llama;

namespace Sluice.Scenarios.Generation;

/// <summary>
/// Measures how much the streams of a worker are delayed while long prompts arrive: the time between two tokens of a
/// stream, quiet and with one prompt of 2,000 tokens after the other.
/// </summary>
internal static class PrefillInterference
{
    private const int Streams = 8, PromptTokens = 32, TextTokens = 160, LongPrompt = 2000;

    public static async Task RunAsync(ScenarioOptions options, CancellationToken ct)
    {
        var shape = LlamaShape.Small;
        await using var peers = new GenerationPeers(shape);
        await peers.StartWorkerAsync();
        var random = new Random(2);
        int[] Prompt(int length) =>
            [.. Enumerable.Range(0, length).Select(_ => random.Next(shape.Vocabulary - 1))];
        int[][] Prompts() => [.. Enumerable.Range(0, Streams).Select(_ => Prompt(PromptTokens))];
        await peers.Worker.RunAsync(Prompts(), TextTokens, ct);
        var rounds = new List<(StreamTimes Quiet, StreamTimes Loud, int Read)>();
        for (var round = 0; round < options.Rounds; round++)
        {
            var quietFirst = round % 2 == 0;
            var quiet = quietFirst ? await peers.Worker.RunAsync(Prompts(), TextTokens, ct) : null;
            var (loud, read) = await LoudAsync();
            rounds.Add((quiet ?? await peers.Worker.RunAsync(Prompts(), TextTokens, ct), loud, read));
        }

        var report = Report(shape, rounds);
        Console.WriteLine(report);
        if (options.Out is { } file) await File.WriteAllTextAsync(file, report, ct);

        async Task<(StreamTimes, int)> LoudAsync()
        {
            using var ended = CancellationTokenSource.CreateLinkedTokenSource(ct);
            var reading = ReadAsync(ended.Token);
            var times = await peers.Worker.RunAsync(Prompts(), TextTokens, ct);
            await ended.CancelAsync();
            return (times, await reading);
        }

        async Task<int> ReadAsync(CancellationToken until)
        {
            var count = 0;
            try
            {
                for (; !until.IsCancellationRequested; count++)
                    await peers.Worker.ReadAsync(Prompt(LongPrompt), 1, until);
            }
            catch (OperationCanceledException) when (until.IsCancellationRequested)
            {
                // The streams have ended.
            }

            return count;
        }
    }

    private static string Report(LlamaShape shape, List<(StreamTimes Quiet, StreamTimes Loud, int Read)> rounds)
    {
        var report = new StringBuilder($"# prefill-interference\n\n{Machine.Describe("make load-generation")}\n")
            .Append(CultureInfo.InvariantCulture, $"{Streams} streams of {TextTokens} tokens, alone and while prompts")
            .Append(CultureInfo.InvariantCulture, $" of {LongPrompt:n0} tokens arrive, one after the other; a decoder of ")
            .Append(CultureInfo.InvariantCulture, $"{shape.Parameters / 1e6:0} million weights. {rounds.Count} rounds")
            .Append(", alternating; medians, ratios of each round's own with their range.\n\n")
            .Append("| | quiet | with long prompts | ratio |\n|---|---|---|---|\n");
        AddRow("time between two tokens, p50 ms", t => t.Gap(0.5));
        AddRow("time between two tokens, p99 ms", t => t.Gap(0.99));
        AddRow("longest time between two tokens, ms", t => t.Gap(1));
        report.Append(
            CultureInfo.InvariantCulture,
            $"\nLong prompts read in a round: {rounds.Min(r => r.Read)} to {rounds.Max(r => r.Read)}.\n");
        return report.ToString();

        void AddRow(string name, Func<StreamTimes, double> value)
        {
            var ratios = rounds.Select(r => value(r.Loud) / value(r.Quiet)).Order().ToList();
            double Median(Func<(StreamTimes Quiet, StreamTimes Loud, int Read), StreamTimes> of) =>
                rounds.Select(r => value(of(r))).Order().ElementAt(rounds.Count / 2);
            report.Append(CultureInfo.InvariantCulture, $"| {name} | {Median(r => r.Quiet):0.0} | ")
                .Append(CultureInfo.InvariantCulture, $"{Median(r => r.Loud):0.0} | {ratios[ratios.Count / 2]:0.00} ")
                .Append(CultureInfo.InvariantCulture, $"({ratios[0]:0.00}-{ratios[^1]:0.00}) |\n");
        }
    }
}
