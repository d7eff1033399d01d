using System.Globalization;
using System.Text;
using Sluice.LoadGenerator;
using Sluice.Testing.Llama;

namespace Sluice.Scenarios.Generation;

/// <summary>
/// Generates texts with the worker over HTTP, with a decode loop in this process (the limit), with llama.cpp over HTTP
/// and with ONNX Runtime GenAI in its process, in turn, with the same weights and prompts.
/// </summary>
internal static class GenerationThroughput
{
    /// <summary>Number of tokens of a prompt and of a text.</summary>
    private const int PromptTokens = 64, TextTokens = 64;

    private static readonly int[] Concurrencies = [1, 4, 16, 64];
    private static readonly string[] Names = ["worker", "bare loop", "llama.cpp", "GenAI"];

    public static async Task RunAsync(ScenarioOptions options, CancellationToken ct)
    {
        var shape = LlamaShape.Small;
        await using var peers = new GenerationPeers(shape);
        await peers.StartWorkerAsync();
        await peers.StartPeersAsync(Concurrencies.Max(), PromptTokens + TextTokens + 1);
        var report = new StringBuilder($"# generation-throughput\n\n{Machine.Describe("make load-generation")}\n")
            .Append(CultureInfo.InvariantCulture, $"A decoder of {shape.Parameters / 1e6:0} million random weights ")
            .Append(CultureInfo.InvariantCulture, $"of 32 bits ({shape.Layers} layers, width {shape.Width}, ")
            .Append(CultureInfo.InvariantCulture, $"{shape.Vocabulary:n0} tokens), prompts and texts of {PromptTokens}")
            .Append(" tokens, greedy. All streams of a round start at once. The bare loop and GenAI are measured ")
            .Append("without HTTP; GenAI generates the texts of a round as one batch (NaN: it answered with an error).\n")
            .Append(CultureInfo.InvariantCulture, $"{options.Rounds} rounds for each row, interleaved in changing ")
            .Append("order; medians, ratios of each round's own with their range.\n\n")
            .Append("| streams | worker, tokens/s | bare loop | llama.cpp | GenAI | worker / bare loop ")
            .Append("| worker / llama.cpp | worker / GenAI | worker / 1 stream ")
            .Append("| first token p50 ms: worker (llama.cpp) | gap p50 ms | gap p99 ms |\n")
            .Append("|---|---|---|---|---|---|---|---|---|---|---|---|\n");
        var random = new Random(1);
        double one = 0;
        // Without rounds, only the texts are compared.
        foreach (var streams in options.Rounds > 0 ? Concurrencies : [])
        {
            var rounds = new List<Round>();
            // The first round warms up.
            for (var round = 0; round <= options.Rounds; round++)
            {
                var measured = await RoundAsync(peers, Prompts(random, shape, streams), round, ct);
                if (round > 0) rounds.Add(measured);
            }

            if (streams == 1) one = Median(rounds, r => r.Rates[0]);
            report.AppendLine(Row(streams, rounds, one));
            Console.WriteLine(report);
        }

        report.Append(await AgreementAsync(peers, Prompts(random, shape, 8), ct));
        Console.WriteLine(report);
        if (options.Out is { } file) await File.WriteAllTextAsync(file, report.ToString(), ct);
    }

    private static async Task<Round> RoundAsync(GenerationPeers peers, int[][] prompts, int round, CancellationToken ct)
    {
        var seconds = new double[Names.Length];
        StreamTimes worker = null!, llama = null!;
        for (var i = 0; i < Names.Length; i++)
        {
            var which = (i + round) % Names.Length;
            switch (which)
            {
                case 0:
                    worker = await peers.Worker.RunAsync(prompts, TextTokens, ct);
                    seconds[which] = worker.Total.TotalSeconds;
                    break;
                case 1:
                    seconds[which] = peers.Bare.Run(prompts, TextTokens).Time.TotalSeconds;
                    break;
                case 2:
                    llama = await peers.LlamaCpp.RunAsync(prompts, TextTokens, ct);
                    seconds[which] = llama.Total.TotalSeconds;
                    break;
                default:
                    seconds[which] = (await peers.RunGenAiAsync(prompts, TextTokens, ct))?.Seconds ?? double.NaN;
                    break;
            }
        }

        return new Round([.. seconds.Select(s => prompts.Length * TextTokens / s)], worker, llama);
    }

    private static string Row(int streams, List<Round> rounds, double one)
    {
        string Both(Func<StreamTimes, double> value) => string.Create(CultureInfo.InvariantCulture,
            $"{Median(rounds, r => value(r.Worker)):0} ({Median(rounds, r => value(r.LlamaCpp)):0})");
        string[] cells =
        [
            $"{streams}",
            .. Enumerable.Range(0, Names.Length)
                .Select(i => Median(rounds, r => r.Rates[i]).ToString("n0", CultureInfo.InvariantCulture)),
            .. Enumerable.Range(1, Names.Length - 1).Select(i => Ratio(rounds, r => r.Rates[0] / r.Rates[i])),
            (Median(rounds, r => r.Rates[0]) / one).ToString("0.0", CultureInfo.InvariantCulture),
            Both(t => t.FirstToken), Both(t => t.Gap(0.5)), Both(t => t.Gap(0.99)),
        ];
        return $"| {string.Join(" | ", cells)} |";
    }

    /// <summary>Compares the texts, so that it is certain that all computed the same.</summary>
    private static async Task<string> AgreementAsync(GenerationPeers peers, int[][] prompts, CancellationToken ct)
    {
        var tokens = new LlamaTokens(LlamaShape.Small.Vocabulary);
        string TextOf(int[] text) => string.Concat(text.Select(t => tokens.Texts[t]));
        var expected = peers.Bare.Run(prompts, TextTokens).Texts.Select(TextOf).ToList();
        var genAi = (await peers.RunGenAiAsync(prompts, TextTokens, ct))?.Texts.Select(TextOf) ?? [];
        var worker = await Task.WhenAll(prompts.Select(p => peers.Worker.TextAsync(p, TextTokens, ct)));
        var llama = await Task.WhenAll(prompts.Select(p => peers.LlamaCpp.TextAsync(p, TextTokens, ct)));
        string Count(IEnumerable<string> texts) =>
            $"{expected.Zip(texts).Count(pair => Visible(pair.First) == Visible(pair.Second))} of {prompts.Length}";
        var same = expected.Zip(llama).Select(pair => Visible(pair.First).Zip(Visible(pair.Second))
            .TakeWhile(c => c.First == c.Second).Count()).Average() / Visible(expected[0]).Length;
        return $"\nTexts equal to those of the bare loop: worker {Count(worker)}, llama.cpp {Count(llama)}, "
            + $"GenAI {Count(genAi)}. llama.cpp adds numbers in another order, and random weights amplify differences: "
            + string.Create(
                CultureInfo.InvariantCulture,
                $"its texts are equal for the first {same:P0} of their length.\n");

        // The bytes are written in different ways; the letters are compared.
        static string Visible(string text) => string.Concat(text.Where(char.IsAsciiLetterLower));
    }

    private static int[][] Prompts(Random random, LlamaShape shape, int count)
    {
        int[] Prompt() => [.. Enumerable.Range(0, PromptTokens).Select(_ => random.Next(shape.Vocabulary - 1))];
        return [.. Enumerable.Range(0, count).Select(_ => Prompt())];
    }

    private static double Median(List<Round> rounds, Func<Round, double> value) =>
        rounds.Select(value).Order().ElementAt(rounds.Count / 2);

    private static string Ratio(List<Round> rounds, Func<Round, double> value)
    {
        var ratios = rounds.Select(value).Order().ToList();
        return string.Create(
            CultureInfo.InvariantCulture,
            $"{ratios[ratios.Count / 2]:0.00} ({ratios[0]:0.00}-{ratios[^1]:0.00})");
    }

    /// <summary>One round.</summary>
    /// <param name="Rates">Generated tokens per second, in the order of the names.</param>
    /// <param name="Worker">The streams of the worker.</param>
    /// <param name="LlamaCpp">The streams of llama.cpp.</param>
    private sealed record Round(double[] Rates, StreamTimes Worker, StreamTimes LlamaCpp);
}
