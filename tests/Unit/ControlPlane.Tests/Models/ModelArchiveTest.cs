using System.Formats.Tar;
using System.IO.Compression;
using Sluice.Models.Archives;
using Sluice.Models.Downloads;

namespace Sluice.ControlPlane.Tests.Models;

/// <summary>Archives of models, of which many are hostile.</summary>
public sealed class ModelArchiveTest : IDisposable
{
    private readonly string folder = Directory.CreateTempSubdirectory("sluice-archive-").FullName;

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    private string Target => Path.Combine(folder, "target");

    public void Dispose() => Directory.Delete(folder, recursive: true);

    [Theory]
    [InlineData(ArchiveFormat.Tar)]
    [InlineData(ArchiveFormat.TarGzip)]
    [InlineData(ArchiveFormat.Zip)]
    public async Task An_archive_is_unpacked(ArchiveFormat format)
    {
        await UnpackAsync(Make(format, ("m/1/model.onnx", "weights"), ("m/config.json", "{}")));
        var root = ModelArchive.FindRoot(Target);
        Assert.Equal("m", Path.GetFileName(root));
        Assert.Equal("weights", await File.ReadAllTextAsync(Path.Combine(root, "1/model.onnx"), Stop));
    }

    [Fact]
    public async Task An_archive_of_the_current_folder_is_unpacked()
    {
        await UnpackAsync(Tar(w =>
        {
            w.WriteEntry(new PaxTarEntry(TarEntryType.Directory, "./"));
            Write(w, "./1/model.onnx", "weights");
        }));
        // A folder with the number of a version is part of the model.
        Assert.Equal(Target, ModelArchive.FindRoot(Target));
        Assert.True(File.Exists(Path.Combine(Target, "1/model.onnx")));
    }

    [Theory]
    [InlineData("../out")]
    [InlineData("a/../../out")]
    [InlineData("/tmp/sluice-out")]
    [InlineData("a/./b")]
    [InlineData("a//b")]
    [InlineData("a\\..\\..\\out")]
    [InlineData("c:out")]
    [InlineData("a\u0001b")]
    public async Task A_path_that_leaves_the_folder_is_rejected(string path)
    {
        var entries = new (string, string)[] { ("good", "x"), (path, "x") };
        foreach (var archive in new[] { Make(ArchiveFormat.Tar, entries), Make(ArchiveFormat.Zip, entries) })
        {
            var failure = await Assert.ThrowsAsync<ModelFailureException>(() => UnpackAsync(archive));
            Assert.Contains("archive entry", failure.Message, StringComparison.Ordinal);
            Assert.False(File.Exists(Path.Combine(folder, "out")));
            Assert.False(File.Exists("/tmp/sluice-out"));
        }
    }

    [Theory]
    [InlineData(TarEntryType.SymbolicLink)]
    [InlineData(TarEntryType.HardLink)]
    [InlineData(TarEntryType.CharacterDevice)]
    [InlineData(TarEntryType.BlockDevice)]
    [InlineData(TarEntryType.Fifo)]
    public async Task Links_and_devices_are_rejected(TarEntryType kind)
    {
        var archive = Tar(w =>
        {
            var entry = new PaxTarEntry(kind, "link");
            if (kind is TarEntryType.SymbolicLink or TarEntryType.HardLink) entry.LinkName = "..";
            w.WriteEntry(entry);
            Write(w, "link/out", "x");
        });
        var failure = await Assert.ThrowsAsync<ModelFailureException>(() => UnpackAsync(archive));
        Assert.Contains("expected folders and regular files", failure.Message, StringComparison.Ordinal);
        Assert.False(File.Exists(Path.Combine(folder, "out")));
    }

    [Fact]
    public async Task A_link_in_a_zip_file_is_rejected()
    {
        var path = Path.Combine(folder, "link.zip");
        await using (var zip = await ZipFile.OpenAsync(path, ZipArchiveMode.Create, Stop))
        {
            var entry = zip.CreateEntry("link");
            entry.ExternalAttributes = unchecked((int)0xA1FF0000);
            await using var content = await entry.OpenAsync(Stop);
            await content.WriteAsync("../.."u8.ToArray(), Stop);
        }

        await Assert.ThrowsAsync<ModelFailureException>(() => UnpackAsync(path));
    }

    [Theory]
    [InlineData(ArchiveFormat.TarGzip)]
    [InlineData(ArchiveFormat.Zip)]
    public async Task A_small_archive_with_huge_files_is_stopped_at_the_limit(ArchiveFormat format)
    {
        var archive = Make(format, ("zeros", new string('\0', 10 << 20)));
        Assert.InRange(new FileInfo(archive).Length, 1, 200_000);
        var failure = await Assert.ThrowsAsync<ModelFailureException>(() => UnpackAsync(archive, 1 << 20));
        Assert.Contains("more than 1048576 bytes", failure.Message, StringComparison.Ordinal);
        Assert.InRange(new FileInfo(Path.Combine(Target, "zeros")).Length, 0, 1 << 20);
    }

    [Fact]
    public async Task Too_many_entries_a_path_twice_and_a_file_as_a_folder_are_rejected()
    {
        var many = Make(ArchiveFormat.Tar, [.. Enumerable.Range(0, 20).Select(i => ($"f{i}", "x"))]);
        await Assert.ThrowsAsync<ModelFailureException>(() => UnpackAsync(many, entries: 10));
        await Assert.ThrowsAsync<ModelFailureException>(
            () => UnpackAsync(Make(ArchiveFormat.Tar, ("a", "1"), ("a", "2"))));
        await Assert.ThrowsAsync<ModelFailureException>(
            () => UnpackAsync(Make(ArchiveFormat.Tar, ("a", "1"), ("a/b", "2"))));
    }

    [Theory]
    [InlineData(ArchiveFormat.Tar)]
    [InlineData(ArchiveFormat.TarGzip)]
    [InlineData(ArchiveFormat.Zip)]
    public async Task A_truncated_archive_is_damaged(ArchiveFormat format)
    {
        var archive = Make(format, ("model.onnx", new string('x', 100_000)));
        var bytes = await File.ReadAllBytesAsync(archive, Stop);
        await File.WriteAllBytesAsync(archive, bytes[..Math.Max(40, bytes.Length / 2)], Stop);
        if (format == ArchiveFormat.Tar) Assert.Equal(ArchiveFormat.Tar, ModelArchive.Detect(archive));
        await Assert.ThrowsAsync<ModelFailureException>(() => UnpackAsync(archive));
    }

    private Task UnpackAsync(string archive, long bytes = 100 << 20, int entries = 1000)
    {
        if (Directory.Exists(Target)) Directory.Delete(Target, recursive: true);
        Directory.CreateDirectory(Target);
        return ModelArchive.UnpackAsync(archive, Target, new ArchiveLimits(bytes, entries), Stop);
    }

    private string Make(ArchiveFormat format, params (string Path, string Content)[] files)
    {
        if (format == ArchiveFormat.Zip)
        {
            var path = Path.Combine(folder, $"{Guid.NewGuid():N}.zip");
            using var zip = ZipFile.Open(path, ZipArchiveMode.Create);
            foreach (var (name, content) in files)
            {
                using var writer = new StreamWriter(zip.CreateEntry(name).Open());
                writer.Write(content);
            }

            return path;
        }

        var tar = Tar(w => Array.ForEach(files, f => Write(w, f.Path, f.Content)));
        if (format == ArchiveFormat.Tar) return tar;
        using var source = File.OpenRead(tar);
        using var target = new GZipStream(File.Create(tar + ".gz"), CompressionLevel.Fastest);
        source.CopyTo(target);
        return tar + ".gz";
    }

    private string Tar(Action<TarWriter> write)
    {
        var path = Path.Combine(folder, $"{Guid.NewGuid():N}.tar");
        using var writer = new TarWriter(File.Create(path));
        write(writer);
        return path;
    }

    private static void Write(TarWriter writer, string name, string content) =>
        writer.WriteEntry(new PaxTarEntry(TarEntryType.RegularFile, name)
        {
            DataStream = new MemoryStream(System.Text.Encoding.UTF8.GetBytes(content)),
        });
}
