using System.Collections.Concurrent;
using Microsoft.ML.OnnxRuntime;
using Sluice.Worker.Configuration;
using Sluice.Worker.Models.Cache;
using Sluice.Worker.Models.Inspection;
using Sluice.Worker.Tests.Inspection;

namespace Sluice.Worker.Tests.Cache;

/// <summary>Copies made by the real ONNX Runtime, by a maker in this process unless a test says otherwise.</summary>
[Trait("Speed", "slow")]
public sealed class OptimizedModelCacheTest : IDisposable
{
    private const int Layers = 3, Width = 256;
    private const long Plenty = long.MaxValue / 8;

    private static readonly string[] Cpu = ["cpu"];

    private readonly string folder = Directory.CreateTempSubdirectory("sluice-cache-").FullName;
    private readonly ConcurrentQueue<string> log = new();
    private readonly CacheSettings settings;

    public OptimizedModelCacheTest() => settings = new CacheSettings
    {
        Folder = CacheSettings.Below(Path.Combine(folder, "cache")), MinModelBytes = 1, Delay = TimeSpan.Zero,
    };

    public void Dispose() => Directory.Delete(folder, recursive: true);

    [Fact]
    public async Task The_second_load_is_of_a_copy_that_gives_the_same_and_keeps_the_metadata()
    {
        var facts = Model("a", ("sluice.task", "test"));
        var first = await LoadAndMakeAsync(facts, Run);
        var (second, copied, metadata) = await LoadAsync(facts, Run);
        Assert.True(copied, string.Join('\n', log));
        Assert.False(first.Copied);
        Assert.Equal("test", metadata["sluice.task"]);
        Assert.NotEqual(0, first.Output[0]);
        Assert.All(first.Output.Zip(second), p => Assert.Equal(p.First, p.Second, 1e-6f));
        Assert.Contains(log, l => l.Contains("kept an optimized copy of", StringComparison.Ordinal));
    }

    [Fact]
    public async Task The_copy_is_made_by_a_child_process_of_the_worker()
    {
        var facts = Model("a");
        await using (var cache = new OptimizedModelCache(settings, Cpu, TimeProvider.System, log.Enqueue))
        {
            cache.Load(facts, Run);
            await cache.FinishAsync();
        }

        Assert.Contains(log, l => l.Contains("kept an optimized copy of", StringComparison.Ordinal));
        // The child's clock is the real one: for it the model has only just changed, and its hash is not remembered.
        new FileHashes(settings.Folder!, new Ahead()).Get(facts.Path);
        Assert.True((await LoadAsync(facts, Run)).Copied);
    }

    [Fact]
    public async Task A_stop_ends_the_maker_at_once()
    {
        var begun = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var cache = Cache(make: async (_, ct) =>
        {
            begun.SetResult();
            await Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, ct);
            return "never";
        });
        cache.Load(Model("a"), Run);
        await begun.Task;
        await cache.DisposeAsync();
        Assert.DoesNotContain(log, l => l.Contains("never", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_model_whose_file_changed_is_loaded_itself()
    {
        var facts = Model("a");
        await LoadAndMakeAsync(facts, Run);
        var bytes = await File.ReadAllBytesAsync(facts.Path);
        bytes[bytes.Length / 2] ^= 1;
        await File.WriteAllBytesAsync(facts.Path, bytes);
        Assert.False((await LoadAsync(facts, Run)).Copied);
    }

    [Fact]
    public async Task Another_version_of_onnx_runtime_or_another_processor_loads_the_original()
    {
        var facts = Model("a");
        await LoadAndMakeAsync(facts, Run);
        var here = CacheConditions.Here(Cpu);
        foreach (var other in new[] { here with { OnnxRuntime = "9.9" }, here with { Cpu = "other" }, here with { GraphLevel = "none" } })
        {
            await using var cache = Cache(other);
            Assert.False(cache.Load(facts, Run).Copied);
        }

        Assert.True((await LoadAsync(facts, Run)).Copied);
    }

    [Fact]
    public async Task A_model_on_a_gpu_gets_no_copy_and_the_log_says_so_once()
    {
        var facts = Model("a");
        await using var cache = new OptimizedModelCache(settings, ["cuda", "cpu"], TimeProvider.System, log.Enqueue);
        for (var i = 0; i < 2; i++) Assert.False(cache.Load(facts, Run).Copied);
        await cache.FinishAsync();
        Assert.Contains("only on the CPU", Assert.Single(log), StringComparison.Ordinal);
        Assert.False(Directory.Exists(settings.Folder));
    }

    [Fact]
    public async Task A_small_model_and_a_cache_that_is_off_make_nothing_and_say_nothing()
    {
        var facts = Model("a");
        foreach (var off in new[] { settings with { MinModelBytes = facts.ModelBytes + 1 }, settings with { Folder = null } })
        {
            await using var cache = new OptimizedModelCache(off, Cpu, TimeProvider.System, log.Enqueue);
            Assert.False(cache.Load(facts, Run).Copied);
            await cache.FinishAsync();
        }

        Assert.Empty(log);
        Assert.False(Directory.Exists(settings.Folder));
    }

    [Theory]
    [InlineData("model.data", false)]
    [InlineData("model.data", true)]
    [InlineData("model.onnx", true)]
    [InlineData("manifest", true)]
    [InlineData("manifest", false)]
    public async Task A_damaged_copy_is_found_and_made_again(string file, bool cutShort)
    {
        var facts = Model("a");
        await LoadAndMakeAsync(facts, Run);
        var path = Path.Combine(Assert.Single(Entries()), file);
        var bytes = await File.ReadAllBytesAsync(path);
        bytes[bytes.Length / 2] ^= 4;
        await File.WriteAllBytesAsync(path, cutShort ? bytes[..(bytes.Length / 2)] : bytes);
        Assert.False((await LoadAndMakeAsync(facts, Run)).Copied);
        Assert.Contains(log, l => l.Contains("damaged", StringComparison.Ordinal));
        Assert.True((await LoadAsync(facts, Run)).Copied);
    }

    [Fact]
    public async Task A_copy_that_cannot_be_loaded_is_removed_and_the_original_loaded()
    {
        var facts = Model("a");
        await LoadAndMakeAsync(facts, Run);
        var (_, copied, _) = await LoadAsync(facts, (path, optimized) => optimized
            ? Run(Path.Combine(folder, "missing.onnx"), true) : Run(path, optimized));
        Assert.False(copied);
        Assert.Contains(log, l => l.Contains("is removed", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Concurrent_makers_create_one_copy()
    {
        var facts = Model("a");
        await Task.WhenAll(LoadAndMakeAsync(facts, Run), LoadAndMakeAsync(facts, Run), LoadAndMakeAsync(facts, Run));
        Assert.Single(Entries());
        Assert.Single(log, l => l.Contains("kept an optimized copy", StringComparison.Ordinal));
        Assert.Empty(Directory.EnumerateDirectories(settings.Folder!, "tmp-*"));
    }

    [Fact]
    public async Task What_a_killed_maker_left_is_cleared_by_the_next()
    {
        Directory.CreateDirectory(Path.Combine(settings.Folder!, "tmp-left", "deep"));
        await LoadAndMakeAsync(Model("a"), Run);
        Assert.Empty(Directory.EnumerateDirectories(settings.Folder!, "tmp-*"));
    }

    [Fact]
    public async Task The_least_recently_used_copy_goes_unless_it_is_held()
    {
        var models = new[] { Model("a"), Model("b"), Model("c"), Model("d") };
        await LoadAndMakeAsync(models[0], Run);
        var one = CacheFolder.SizeOf(Assert.Single(Entries()));
        var bound = one * 5 / 2;
        await LoadAndMakeAsync(models[1], Run, bound);
        await using var user = Cache();
        using var held = user.TryOpen(models[0])!;
        Age(models[0], 3);
        Age(models[1], 2);
        await LoadAndMakeAsync(models[2], Run, bound);
        Assert.Equal([true, false, true, false], models.Select(Has));
        held.Dispose();
        Age(models[0], 3);
        Age(models[2], 2);
        await LoadAndMakeAsync(models[3], Run, bound);
        Assert.Equal([false, false, true, true], models.Select(Has));
        Assert.InRange(Entries().Sum(CacheFolder.SizeOf), one, bound);
    }

    [Fact]
    public async Task A_copy_that_does_not_fit_is_not_kept()
    {
        var facts = Model("a");
        await LoadAndMakeAsync(facts, Run, facts.ModelBytes + 1);
        Assert.Empty(Entries());
        Assert.Contains(log, l => l.Contains("do not fit into SLUICE_MODEL_CACHE_BYTES", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("/proc/sluice-cache")]
    [InlineData("a-file")]
    public async Task A_folder_that_cannot_be_written_costs_a_line_and_nothing_else(string place)
    {
        await File.WriteAllTextAsync(Path.Combine(folder, "a-file"), "");
        var facts = Model("a");
        await using var cache = new OptimizedModelCache(settings with { Folder = Path.Combine(folder, place, "x") }, Cpu, TimeProvider.System, log.Enqueue);
        for (var i = 0; i < 2; i++) Assert.False(cache.Load(facts, Run).Copied);
        await cache.FinishAsync();
        Assert.Contains("cannot be used, so every start loads the original", Assert.Single(log), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_folder_that_others_may_write_is_not_trusted()
    {
        var facts = Model("a");
        await LoadAndMakeAsync(facts, Run);
        if (OperatingSystem.IsWindows()) return;
        File.SetUnixFileMode(settings.Folder!, File.GetUnixFileMode(settings.Folder!) | UnixFileMode.OtherWrite);
        Assert.False((await LoadAndMakeAsync(facts, Run)).Copied);
        Assert.Contains(log, l => l.Contains("can be written by others", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Too_little_memory_makes_no_copy()
    {
        await using var cache = Cache(make: (request, _) => Task.FromResult(
            ModelOptimizer.Make(request, CacheConditions.Here(Cpu), TimeProvider.System, room: request.MaxBytes / 1_000_000)));
        cache.Load(Model("a"), Run);
        await cache.FinishAsync();
        Assert.Contains("of memory", Assert.Single(log), StringComparison.Ordinal);
        Assert.Empty(Entries());
    }

    private ModelFacts Model(string name, params (string, string)[] metadata)
    {
        var path = Path.Combine(Directory.CreateDirectory(Path.Combine(folder, name)).FullName, "model.onnx");
        using (var file = File.Create(path)) OnnxWriter.MatMulChain(file, Layers, Width, [.. metadata, ("name", name)]);
        // Old enough for its hash to be remembered: the clock of the cache runs ahead instead of a wait.
        return ModelInspector.Inspect(path, new ModelLimits());
    }

    private sealed class Ahead : TimeProvider
    {
        public override DateTimeOffset GetUtcNow() => System.GetUtcNow() + TimeSpan.FromMinutes(1);
    }

    private OptimizedModelCache Cache(CacheConditions? conditions = null,
        Func<MakeRequest, CancellationToken, Task<string>>? make = null, long? maxBytes = null) =>
        new(settings with { MaxBytes = maxBytes ?? settings.MaxBytes }, Cpu, new Ahead(), log.Enqueue, conditions,
            make ?? ((request, _) => Task.Run(() => ModelOptimizer.Make(request, conditions ?? CacheConditions.Here(Cpu), new Ahead(), Plenty))));

    private async Task<T> LoadAsync<T>(ModelFacts facts, Func<string, bool, T> open)
    {
        await using var cache = Cache();
        return cache.Load(facts, open);
    }

    private async Task<T> LoadAndMakeAsync<T>(ModelFacts facts, Func<string, bool, T> open, long? maxBytes = null)
    {
        await using var cache = Cache(maxBytes: maxBytes);
        var loaded = cache.Load(facts, open);
        await cache.FinishAsync();
        return loaded;
    }

    private (float[] Output, bool Copied, Dictionary<string, string> Metadata) Run(string path, bool optimized)
    {
        using var options = new SessionOptions { IntraOpNumThreads = 1 };
        if (optimized) options.GraphOptimizationLevel = GraphOptimizationLevel.ORT_DISABLE_ALL;
        using var session = new InferenceSession(path, options);
        using var input = OrtValue.CreateTensorValueFromMemory([.. Enumerable.Range(0, Width).Select(i => MathF.Sin(i))], [1, Width]);
        using var run = new RunOptions();
        using var results = session.Run(run, ["in"], [input], ["out"]);
        return (results[0].GetTensorDataAsSpan<float>().ToArray(), optimized, new(session.ModelMetadata.CustomMetadataMap));
    }

    private string[] Entries() => !Directory.Exists(settings.Folder) ? []
        : [.. Directory.EnumerateDirectories(settings.Folder).Where(d => File.Exists(Path.Combine(d, "manifest")))];

    private string? EntryOf(ModelFacts facts) =>
        Entries().SingleOrDefault(e => File.ReadAllText(Path.Combine(e, "manifest")).Contains($"\"{facts.Path}\"", StringComparison.Ordinal));

    private bool Has(ModelFacts facts) => EntryOf(facts) is not null;

    private void Age(ModelFacts facts, int hours) =>
        File.SetLastWriteTimeUtc(Path.Combine(EntryOf(facts)!, "manifest"), TimeProvider.System.GetUtcNow().UtcDateTime.AddHours(-hours));
}
