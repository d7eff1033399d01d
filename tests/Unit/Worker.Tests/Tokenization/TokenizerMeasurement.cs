using System.Globalization;
using TokenizerLoader = Sluice.Worker.Generation.Tokenization.Tokenizers;

namespace Sluice.Worker.Tests.Tokenization;

/// <summary>
/// Measures loading and encoding beside Hugging Face's library, on request: <c>--explicit only --filter-class
/// '*.TokenizerMeasurement' --show-live-output on</c>. Both alternate, and CPU time counts, so that other programs of
/// the machine have little effect.
/// </summary>
public sealed class TokenizerMeasurement(ITestOutputHelper output)
{
    private const int Repetitions = 5;

    private static double CpuMilliseconds => Environment.CpuUsage.TotalTime.TotalMilliseconds;

    [Theory(Explicit = true)]
    [InlineData("llama3")]
    [InlineData("qwen3")]
    [InlineData("gemma3")]
    [InlineData("gptoss")]
    [InlineData("deepseek_v3")]
    public void Load_and_encode(string name)
    {
        var folder = TokenizerComparisonTest.Folder(name);
        var file = Path.Combine(folder, "tokenizer.json");
        var (own, reference) = (TokenizerLoader.Load(folder), new global::Tokenizers.DotNet.Tokenizer(file));
        var loads = Enumerable.Range(0, Repetitions).Select(_ =>
            (Time(() => TokenizerLoader.Load(folder)),
                Time(() => new global::Tokenizers.DotNet.Tokenizer(file)))).ToList();
        var texts = TokenizerTexts.Create();
        const string Sentence =
            "The scheduler keeps a queue of requests; each step, it decodes one token of every sequence "
            + "that is running, and reads at most a part of one prompt. For example, 1,024 tokens arrive in 3 parts.\n";
        string[] english = [.. Enumerable.Repeat(string.Concat(Enumerable.Repeat(Sentence, 200)), 20)];
        output.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"| {name} | load {loads.Order().ElementAt(2).Item1:F0} ms, "
            + $"{loads.OrderBy(l => l.Item2).ElementAt(2).Item2:F0} ms "
            + $"| texts {Speed(texts, own.EncodePrompt):F2}, {Speed(texts, reference.Encode):F2} characters/µs "
            + $"| English {Speed(english, own.EncodePrompt):F1}, {Speed(english, reference.Encode):F1} |"));
    }

    private static double Speed<T>(IReadOnlyList<string> texts, Func<string, T> encode) =>
        texts.Sum(t => (double)t.Length) / 1000 / Enumerable.Range(0, Repetitions).Min(_ => Time(() =>
        {
            foreach (var text in texts) encode(text);
            return 0;
        }));

    private static double Time<T>(Func<T> action)
    {
        var start = CpuMilliseconds;
        GC.KeepAlive(action());
        return CpuMilliseconds - start;
    }
}
