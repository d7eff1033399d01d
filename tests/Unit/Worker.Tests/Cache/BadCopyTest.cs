using System.Collections.Concurrent;
using Sluice.Testing;
using Sluice.Worker.Configuration;
using Sluice.Worker.Models.Cache;
using Sluice.Worker.Models.Inspection;
using Sluice.Worker.Providers;
using static Sluice.Worker.Tests.Inspection.OnnxWriter;

namespace Sluice.Worker.Tests.Cache;

/// <summary>Copies that load without an error and are bad: one ends its process when it runs, the other gives other outputs.</summary>
[Trait("Speed", "slow")]
public sealed class BadCopyTest : IDisposable
{
    /// <summary>A worker makes copies of models of 8 MiB and more.</summary>
    private const int Layers = 3, Width = 1024;

    private static readonly string[] Cpu = ["cpu"];

    private readonly string folder = Directory.CreateTempSubdirectory("sluice-bad-copy-").FullName;
    private readonly ConcurrentQueue<string> log = new();
    private readonly CacheSettings settings;
    private readonly ModelFacts facts;

    public BadCopyTest()
    {
        settings = new CacheSettings { Folder = CacheSettings.Below(Path.Combine(folder, "cache")), Delay = TimeSpan.Zero };
        var path = Path.Combine(Directory.CreateDirectory(Path.Combine(folder, "models", "chain", "1")).FullName, "model.onnx");
        using (var file = File.Create(path)) MatMulChain(file, Layers, Width);
        facts = ModelInspector.Inspect(path, new ModelLimits());
    }

    public void Dispose() => Directory.Delete(folder, recursive: true);

    [Theory]
    [InlineData("ends its process", "its run ended the process by signal 8")]
    [InlineData("other outputs", "output 'out' differs for inputs of the shape [1,1024]: value")]
    [InlineData("no model", "it cannot be loaded or run: ")]
    public async Task A_bad_copy_is_not_kept_and_never_made_again(string kind, string reason)
    {
        var written = 0;
        for (var start = 0; start < 2; start++)
        {
            await using var cache = Cache((_, into) =>
            {
                written++;
                File.WriteAllBytes(Path.Combine(into, CacheFolder.ModelName), Bad(kind));
            });
            Assert.False(cache.Load(facts, (_, optimized) => optimized));
            await cache.FinishAsync();
        }

        Assert.Equal(1, written);
        Assert.Empty(Directory.EnumerateFiles(settings.Folder!, "manifest", SearchOption.AllDirectories));
        Assert.Contains(log, l => l.Contains(reason, StringComparison.Ordinal) && l.Contains("to try again, delete", StringComparison.Ordinal));
    }

    [Trait("Needs", "publish")]
    [Fact]
    public async Task A_worker_that_a_copy_ended_is_followed_by_one_that_serves_the_original()
    {
        var key = PublishUntried(Bad("ends its process"));
        var environment = new Dictionary<string, string?> { ["SLUICE_MODEL_CACHE"] = Path.Combine(folder, "cache") };
        await using (var first = WorkerProcess.Launch(Path.Combine(folder, "models"), environment))
            Assert.Equal(128 + 8, await first.ExitAsync());
        Assert.Single(Directory.EnumerateFiles(settings.Folder!, "*.loading-*"));

        await using (var second = await WorkerProcess.StartAsync(Path.Combine(folder, "models"), environment))
            Assert.Contains("ended while it loaded the copy or ran it for the first time", second.Process.Output, StringComparison.Ordinal);

        var cacheFolder = new CacheFolder(settings.Folder!, new Ahead());
        Assert.False(cacheFolder.Has(key));
        Assert.Contains("process ", cacheFolder.Refusal(key), StringComparison.Ordinal);
        Assert.Empty(Directory.EnumerateFiles(settings.Folder!, "*.loading-*"));
    }

    [Fact]
    public async Task The_mark_of_a_load_is_deleted_after_the_first_run_by_a_stop_and_by_an_exception()
    {
        PublishUntried(await File.ReadAllBytesAsync(facts.Path));
        foreach (var end in new[] { "run", "stop", "exception" })
        {
            await using var cache = Cache(null);
            if (end == "exception")
                Assert.Throws<NotSupportedException>(() => cache.Load<bool>(facts, (_, _) => throw new NotSupportedException("refused by the worker")));
            else
                Assert.True(cache.Load(facts, (_, optimized) => optimized && Marks().Count == 1));
            if (end == "run") cache.ConfirmLoads();
            if (end == "stop") cache.StopMarking();
            Assert.Empty(Marks());
            // A load that begins after the stop has no mark.
            if (end == "stop") Assert.True(cache.Load(facts, (_, optimized) => optimized && Marks().Count == 0));
        }
    }

    [Fact]
    public void A_mark_of_a_running_process_and_one_of_an_earlier_boot_refuse_nothing()
    {
        Directory.CreateDirectory(settings.Folder!);
        using (LoadMark.Create(settings.Folder!, "key", TimeProvider.System)) Assert.Null(LoadMark.TakeDead(settings.Folder!, "key"));
        Assert.Empty(Marks());
        var old = Path.Combine(settings.Folder!, "key.loading-1");
        File.WriteAllText(old, "another-boot\nprocess 1\n");
        Assert.Null(LoadMark.TakeDead(settings.Folder!, "key"));
        Assert.False(File.Exists(old));
    }

    [Fact]
    public void An_engine_whose_load_ended_its_process_is_deleted_and_another_one_stays()
    {
        var engines = Directory.CreateDirectory(Path.Combine(folder, "engines")).FullName;
        var (engine, mark) = (Path.Combine(engines, "model.engine"), Path.Combine(engines, "engine.loading-1"));
        File.WriteAllText(engine, "");
        EngineMarks.MarkLoad(engines);
        EngineMarks.Confirm();
        Assert.True(File.Exists(engine));
        // As a process leaves it that ends without a word: unlocked.
        File.WriteAllText(mark, $"{File.ReadAllText("/proc/sys/kernel/random/boot_id").Trim()}\nprocess 1\n");
        EngineMarks.MarkLoad(engines);
        Assert.Equal((false, false), (File.Exists(engine), File.Exists(mark)));
        EngineMarks.Confirm();
        Assert.Empty(Directory.EnumerateFiles(engines));
    }

    [Theory]
    [InlineData(0, null, false)]
    [InlineData(1, "other outputs", true)]
    [InlineData(139, "its run ended the process by signal 11", true)]
    [InlineData(137, "its trial run was killed", false)]
    [InlineData(2, "its trial exited with code 2: other outputs", false)]
    public void Only_what_the_copy_itself_does_refuses_it_for_good(int exitCode, string? failure, bool final) =>
        Assert.Equal(new TrialResult(failure, final), TrialProcess.Interpret(exitCode, "other outputs"));

    private IReadOnlyList<string> Marks() => [.. Directory.EnumerateFiles(settings.Folder!, "*.loading-*")];

    private OptimizedModelCache Cache(Action<string, string>? write) => new(settings, Cpu, new Ahead(), log.Enqueue, null,
        (request, _) => Task.Run(() => ModelOptimizer.Make(request, CacheConditions.Here(Cpu), new Ahead(), long.MaxValue / 8, write)));

    /// <summary>An entry as an earlier version could have kept it.</summary>
    private ModelKey PublishUntried(byte[] model)
    {
        var cache = new CacheFolder(settings.Folder!, new Ahead());
        cache.Create();
        var request = new MakeRequest(settings.Folder!, settings.MaxBytes, facts.Path, [], Cpu);
        var key = ModelOptimizer.KeyOf(request, CacheConditions.Here(Cpu), cache.Hashes.Get)!.Value;
        var made = cache.CreateTemporary();
        File.WriteAllBytes(Path.Combine(made, CacheFolder.ModelName), model);
        cache.Publish(made, key, facts.Path);
        return key;
    }

    /// <summary>A model with the inputs and outputs of the original. The quotient of the least whole number and -1 is a signal (SIGFPE), not an error.</summary>
    private static byte[] Bad(string kind)
    {
        byte[][] nodes = kind switch
        {
            "ends its process" =>
            [
                Whole("zero", 0), Whole("least", long.MinValue), Whole("minus", -1),
                Field(1, Node("Cast", "in", "whole", To(INT64))),
                Field(1, Join(Text(1, "whole"), Text(1, "zero"), Text(2, "nothing"), Text(4, "Mul"))),
                Field(1, Join(Text(1, "nothing"), Text(1, "least"), Text(2, "dividend"), Text(4, "Add"))),
                Field(1, Join(Text(1, "dividend"), Text(1, "minus"), Text(2, "quotient"), Text(4, "Div"))),
                Field(1, Node("Cast", "quotient", "out", To(FP32))),
            ],
            "other outputs" => [Field(1, Node("Relu", "in", "out"))],
            _ => [Field(1, Node("NoSuchOperator", "in", "out"))],
        };
        return Model(Graph([.. nodes, Field(11, Value("in", FP32, -1, Width)), Field(12, Value("out", FP32, -1, Width))]));
    }

    private static byte[] Whole(string name, long value) => Field(5, Tensor(name, INT64, [1], BitConverter.GetBytes(value)));

    private static byte[] To(int type) => Field(5, Join(Text(1, "to"), Number(3, type), Number(20, 2)));

    private sealed class Ahead : TimeProvider
    {
        public override DateTimeOffset GetUtcNow() => System.GetUtcNow() + TimeSpan.FromMinutes(1);
    }
}
