using System.Diagnostics;
using System.Globalization;
using Microsoft.ML.OnnxRuntime;
using Sluice.Worker.Configuration;
using Sluice.Worker.Models.Cache;
using Sluice.Worker.Models.Inspection;
using Sluice.Worker.Tests.Inspection;

namespace Sluice.Worker.Tests.Cache;

/// <summary>
/// Measures what a copy saves, for loadtests/results/2026-11-21-model-cache.md. It runs only on request:
/// <c>dotnet test -c Release --project tests/Unit/Worker.Tests --filter-class "*.CopyMeasurement" --explicit only</c>
/// </summary>
public sealed class CopyMeasurement(ITestOutputHelper output)
{
    private const int Rounds = 9, Layers = 8;

    [Fact(Explicit = true)]
    public void Loading_the_original_and_the_copy()
    {
        output.WriteLine("| model | original, ms | copy, ms | ratio | inspection, ms | identity of the copy checked, ms | making, s | on disk, MiB |");
        foreach (var width in new[] { 128, 256, 362, 512, 1024, 2048 }) Measure(width);
    }

    private void Measure(int width)
    {
        var folder = Directory.CreateTempSubdirectory("sluice-measure-").FullName;
        try
        {
            var path = Path.Combine(folder, "model.onnx");
            using (var file = File.Create(path)) OnnxWriter.MatMulChain(file, Layers, width);
            var facts = ModelInspector.Inspect(path, new ModelLimits());
            var conditions = CacheConditions.Here(["cpu"]);
            var request = new MakeRequest(CacheSettings.Below(Path.Combine(folder, "cache")), long.MaxValue / 2, path, [], ["cpu"]);
            var watch = Stopwatch.StartNew();
            ModelOptimizer.Make(request, conditions, TimeProvider.System, long.MaxValue / 8);
            var making = watch.Elapsed.TotalSeconds;
            var cache = new CacheFolder(request.Folder, TimeProvider.System);
            var key = ModelOptimizer.KeyOf(request, conditions, FileHashes.Compute)!.Value;
            using var copy = cache.TryOpen(key, out _)!;
            var (original, optimized) = (new List<double>(), new List<double>());
            for (var i = 0; i < Rounds; i++)
            {
                original.Add(Load(path, false));
                optimized.Add(Load(copy.Path, true));
            }

            var inspect = Median([.. Enumerable.Range(0, Rounds).Select(_ => Time(() => ModelInspector.Inspect(path, new ModelLimits())))]);
            var open = Median([.. Enumerable.Range(0, Rounds).Select(_ => Time(() => cache.TryOpen(key, out var _)!.Dispose()))]);
            var disk = CacheFolder.SizeOf(Path.GetDirectoryName(copy.Path)!) >> 20;
            output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"| {facts.ModelBytes / 1e6:0.0} MB | {Shown(original)} | {Shown(optimized)} | "
                + $"{Median(optimized) / Median(original):0.00} | {inspect:0.0} | {open:0.0} | {making:0.0} | {disk} |"));
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    /// <summary>A session and its first run, in milliseconds: mapped weights are paid for when they are first used.</summary>
    private static double Load(string path, bool optimized) => Time(() =>
    {
        using var options = new SessionOptions { IntraOpNumThreads = 1, InterOpNumThreads = 1 };
        if (optimized) options.GraphOptimizationLevel = GraphOptimizationLevel.ORT_DISABLE_ALL;
        using var session = new InferenceSession(path, options);
        var width = session.InputMetadata["in"].Dimensions[1];
        using var input = OrtValue.CreateTensorValueFromMemory(new float[width], [1, width]);
        using var run = new RunOptions();
        using var results = session.Run(run, ["in"], [input], ["out"]);
    });

    private static double Time(Action work)
    {
        var start = Stopwatch.GetTimestamp();
        work();
        return Stopwatch.GetElapsedTime(start).TotalMilliseconds;
    }

    private static string Shown(List<double> values) =>
        string.Create(CultureInfo.InvariantCulture, $"{Median(values):0.0} ({values.Min():0.0}-{values.Max():0.0})");

    private static double Median(List<double> values) => values.Order().ElementAt(values.Count / 2);
}
