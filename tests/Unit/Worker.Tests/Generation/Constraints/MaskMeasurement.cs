using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using Sluice.Worker.Generation.Constraints;

namespace Sluice.Worker.Tests.Generation.Constraints;

/// <summary>Measures masks for loadtests/results. Runs only on request.</summary>
public sealed class MaskMeasurement
{
    private const int Steps = 120;

    [Fact(Explicit = true)]
    public void Times_of_masks_with_the_vocabulary_of_Llama()
    {
        var tokenizer = BytesTokenizer.RequireLlama();
        var start = Stopwatch.GetTimestamp();
        var output = new StructuredOutput(tokenizer);
        _ = output.CompileJsonObject();
        Write($"vocabulary of {tokenizer.VocabularySize}: {Stopwatch.GetElapsedTime(start).TotalMilliseconds:f0} ms");
        var generator = new RandomSchemas(1);
        var schemas = Enumerable.Range(0, 100)
            .Select(_ => JsonSerializer.SerializeToElement(generator.Next())).ToList();
        Run("warm-up");
        Run("new schemas");
        Run("the same schemas again");

        void Run(string name)
        {
            if (name != "the same schemas again") output = new StructuredOutput(tokenizer);
            _ = output.CompileJsonObject();
            var random = new Random(1);
            var (compile, masks, apply) = (new List<double>(), new List<double>(), new List<double>());
            var logits = new float[tokenizer.VocabularySize];
            foreach (var schema in schemas)
            {
                var at = Stopwatch.GetTimestamp();
                var matcher = output.CompileSchema(schema, "schema").CreateMatcher();
                compile.Add(Stopwatch.GetElapsedTime(at).TotalMicroseconds);
                for (var step = 0; step < Steps && matcher.CanContinue; step++)
                {
                    at = Stopwatch.GetTimestamp();
                    var mask = matcher.FindTokens();
                    masks.Add(Stopwatch.GetElapsedTime(at).TotalMicroseconds);
                    logits.AsSpan().Clear();
                    at = Stopwatch.GetTimestamp();
                    mask.Apply(logits);
                    apply.Add(Stopwatch.GetElapsedTime(at).TotalMicroseconds);
                    var allowed = Enumerable.Range(0, logits.Length).Where(mask.Contains).ToList();
                    var structural = allowed.Where(t => "{}[]\",:".Contains(tokenizer.TextOf(t)[0])).ToList();
                    var from = structural.Count > 0 && random.Next(2) == 0 ? structural : allowed;
                    matcher.Read(from[random.Next(from.Count)]);
                }
            }

            Write($"{name}: compile {Quantiles(compile)}; mask {Quantiles(masks)}; apply {Quantiles(apply)}");
        }
    }

    private static string Quantiles(List<double> values)
    {
        values.Sort();
        return string.Create(
            CultureInfo.InvariantCulture,
            $"p50 {values[values.Count / 2]:f1} p99 {values[values.Count * 99 / 100]:f0} max {values[^1]:f0} us");
    }

    private static void Write(FormattableString text) =>
        TestContext.Current.TestOutputHelper!.WriteLine(text.ToString(CultureInfo.InvariantCulture));
}
