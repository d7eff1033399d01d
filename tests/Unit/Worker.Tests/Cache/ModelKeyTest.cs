using Sluice.Worker.Configuration;
using Sluice.Worker.Models.Cache;

namespace Sluice.Worker.Tests.Cache;

/// <summary>What a copy is found by, and what is read to find it.</summary>
public sealed class ModelKeyTest : IDisposable
{
    private static readonly CacheConditions Conditions = new("1.29.0", ["cpu"], "all", "some cpu");

    private readonly string folder = Directory.CreateTempSubdirectory("sluice-key-").FullName;

    public void Dispose() => Directory.Delete(folder, recursive: true);

    [Fact]
    public void A_key_changes_with_everything_that_makes_a_copy_wrong()
    {
        (string, string)[] files = [("model.onnx", "aa"), ("w.bin", "bb")];
        var key = ModelKey.Compute(Conditions, files);
        Assert.Equal(key, ModelKey.Compute(Conditions with { Providers = ["cpu"] }, [files[1], files[0]]));
        ModelKey[] all =
        [
            key,
            ModelKey.Compute(Conditions with { OnnxRuntime = "1.29.1" }, files),
            ModelKey.Compute(Conditions with { Providers = ["cuda"] }, files),
            ModelKey.Compute(Conditions with { Providers = ["cpu threads=2"] }, files),
            ModelKey.Compute(Conditions with { Providers = ["cuda", "cpu"] }, files),
            ModelKey.Compute(Conditions with { GraphLevel = "basic" }, files),
            ModelKey.Compute(Conditions with { Cpu = "other" }, files),
            ModelKey.Compute(Conditions, [("model.onnx", "ab"), ("w.bin", "bb")]),
            ModelKey.Compute(Conditions, [("model.onnx", "aa"), ("w.bin", "ba")]),
            ModelKey.Compute(Conditions, [("model.onnx", "aa"), ("v.bin", "bb")]),
            ModelKey.Compute(Conditions, [("model.onnx", "aa")]),
        ];
        Assert.Equal(all.Length, all.Distinct().Count());
    }

    [Fact]
    public void A_hash_is_remembered_until_the_file_changes()
    {
        var path = Path.Combine(folder, "file");
        File.WriteAllText(path, "abc");
        var hashes = new FileHashes(folder, new Ahead(TimeSpan.FromMinutes(1)));
        Assert.Null(hashes.Remembered(path));
        // SHA-256 of "abc": FIPS 180-2, appendix B.1.
        Assert.Equal("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", hashes.Get(path));
        Assert.Equal(hashes.Get(path), hashes.Remembered(path));
        var time = File.GetLastWriteTimeUtc(path);
        File.WriteAllText(path, "abd");
        File.SetLastWriteTimeUtc(path, time);
        Assert.Null(hashes.Remembered(path));
    }

    [Fact]
    public void A_file_that_has_only_just_changed_is_not_remembered()
    {
        var path = Path.Combine(folder, "file");
        File.WriteAllText(path, "abc");
        var hashes = new FileHashes(folder, new Ahead(TimeSpan.Zero));
        hashes.Get(path);
        Assert.Null(hashes.Remembered(path));
    }

    [Fact]
    public void A_processors_type_is_its_model_and_instructions_and_not_its_speed()
    {
        string[] info = ["processor\t: 0", "vendor_id\t: X", "cpu family\t: 25", "cpu MHz\t\t: 3000.1", "flags\t\t: fpu avx2", "",
            "processor\t: 1", "flags : other"];
        Assert.Equal("vendor_id\t: X\ncpu family\t: 25\nflags\t\t: fpu avx2", CacheConditions.CpuType(info));
        Assert.NotEqual("", CacheConditions.CpuType(File.ReadLines("/proc/cpuinfo")));
    }

    [Theory]
    [InlineData("MemAvailable:  1000 kB\n", null, null, null, 1024_000)]
    [InlineData("MemFree: 1 kB\nMemAvailable:  1000 kB\n", "max", "5", "", 1024_000)]
    [InlineData("MemAvailable:  1000 kB\n", "500000", "400000", "active_file 9\ninactive_file 50000\n", 150_000)]
    [InlineData("MemAvailable:  1000 kB\n", "500000", "600000", "", 0)]
    public void Free_memory_is_the_machines_or_the_containers(string memInfo, string? max, string? current, string? stat, long expected) =>
        Assert.Equal(expected, AvailableMemory.Bytes(memInfo, max, current, stat));

    [Theory]
    [InlineData("SLUICE_MODEL_CACHE", "", null)]
    [InlineData("SLUICE_MODEL_CACHE", "/c", "/c/v2-user")]
    [InlineData("XDG_CACHE_HOME", "/x", "/x/sluice/models/v2-user")]
    [InlineData("HOME", "/h", "/h/.cache/sluice/models/v2-user")]
    public void The_folder_is_the_one_that_the_environment_names(string name, string value, string? starts)
    {
        var settings = CacheSettings.Read(n => n == name ? value : null);
        if (starts is null) Assert.Null(settings.Folder);
        else Assert.StartsWith(starts, settings.Folder, StringComparison.Ordinal);
    }

    private sealed class Ahead(TimeSpan by) : TimeProvider
    {
        public override DateTimeOffset GetUtcNow() => System.GetUtcNow() + by;
    }
}
