using System.Formats.Tar;
using System.IO.Compression;
using System.Text;
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
    [InlineData(256, 1)]
    [InlineData(99, 6)]
    public async Task A_name_that_is_too_long_is_rejected(int length, int parts)
    {
        var path = string.Join('/', Enumerable.Repeat(new string('d', length), parts));
        foreach (var archive in new[] { Make(ArchiveFormat.Tar, (path, "x")), Make(ArchiveFormat.Zip, (path, "x")) })
        {
            var failure = await Assert.ThrowsAsync<ModelFailureException>(() => UnpackAsync(archive));
            Assert.Contains(SafePath.Rule, failure.Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task The_folder_onnx_is_part_of_the_model()
    {
        await UnpackAsync(Make(ArchiveFormat.Tar, ("onnx/model.onnx", "weights")));
        Assert.Equal(Target, ModelArchive.FindRoot(Target));
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

    [Theory]
    [InlineData("x", 2_000_000_000, "2000000000 bytes of names and attributes")]
    [InlineData("L", 2_000_000_000, "2000000000 bytes of names and attributes")]
    [InlineData("0", long.MaxValue, "ends in the content")]
    [InlineData("g", long.MaxValue, "ends in the content")]
    public async Task A_size_that_a_header_states_is_not_allocated(string kind, long size, string expected)
    {
        var header = new byte[512];
        "name"u8.CopyTo(header);
        header[124] = 0x80;
        System.Buffers.Binary.BinaryPrimitives.WriteInt64BigEndian(header.AsSpan(128), size);
        header[156] = (byte)kind[0];
        "ustar\00"u8.CopyTo(header.AsSpan(257));
        header.AsSpan(148, 8).Fill((byte)' ');
        Encoding.ASCII.GetBytes($"{Convert.ToString(header.Sum(b => b), 8),6}\0 ").CopyTo(header, 148);
        var path = Path.Combine(folder, "header.tar");
        await File.WriteAllBytesAsync(path, header, Stop);
        var before = GC.GetTotalAllocatedBytes();
        var failure = await Assert.ThrowsAsync<ModelFailureException>(() => UnpackAsync(path));
        Assert.Contains(expected, failure.Message, StringComparison.Ordinal);
        Assert.InRange(GC.GetTotalAllocatedBytes() - before, 0, 100 << 20);
    }

    [Theory]
    [InlineData("siz_", "7", null)]
    [InlineData("siz_", "-7", "the size of an entry is not a number")]
    [InlineData("GNU.sparse.major", "1", "a sparse file")]
    public async Task Attributes_replace_the_fields_of_a_header(string key, string value, string? expected)
    {
        var archive = Tar(w => w.WriteEntry(new PaxTarEntry(TarEntryType.RegularFile, "model.onnx",
            new Dictionary<string, string> { [key] = value })
        {
            DataStream = new MemoryStream("weights and more"u8.ToArray()),
        }));
        // .NET writes no attribute with the name of a field. The checksum does not include attributes.
        var text = Encoding.Latin1.GetString(await File.ReadAllBytesAsync(archive, Stop));
        await File.WriteAllBytesAsync(
            archive, Encoding.Latin1.GetBytes(text.Replace("siz_=", "size=", StringComparison.Ordinal)), Stop);
        if (expected is null)
        {
            await UnpackAsync(archive);
            Assert.Equal("weights", await File.ReadAllTextAsync(Path.Combine(Target, "model.onnx"), Stop));
            return;
        }

        var failure = await Assert.ThrowsAsync<ModelFailureException>(() => UnpackAsync(archive));
        Assert.Contains(expected, failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_header_with_a_wrong_checksum_is_damaged()
    {
        var archive = Make(ArchiveFormat.Tar, ("model.onnx", "weights"));
        var bytes = await File.ReadAllBytesAsync(archive, Stop);
        // The first bytes are the extended attributes of the entry.
        bytes[0] ^= 1;
        await File.WriteAllBytesAsync(archive, bytes, Stop);
        var failure = await Assert.ThrowsAsync<ModelFailureException>(() => UnpackAsync(archive));
        Assert.Contains("the checksum of a header is wrong", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Bytes_that_no_file_gets_are_limited_too()
    {
        // Each of these entries is skipped, so neither the files nor the entries reach their limits.
        var archive = Path.Combine(folder, "skipped.tar.gz");
        await using (var zip = new GZipStream(File.Create(archive), CompressionLevel.Fastest))
        {
            var global = await File.ReadAllBytesAsync(Tar(w => w.WriteEntry(
                new PaxGlobalExtendedAttributesTarEntry([new("comment", new string('x', 4000))]))), Stop);
            for (var i = 0; i < 1500; i++) await zip.WriteAsync(global.AsMemory(0, global.Length - 1024), Stop);
        }

        var failure = await Assert.ThrowsAsync<ModelFailureException>(() => UnpackAsync(archive, 1 << 20));
        Assert.Contains("after decompression", failure.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(TarEntryFormat.Ustar)]
    [InlineData(TarEntryFormat.Pax)]
    [InlineData(TarEntryFormat.Gnu)]
    public async Task Long_names_of_every_format_are_unpacked(TarEntryFormat format)
    {
        var name = $"{new string('d', 90)}/{new string('f', 90)}";
        var path = Path.Combine(folder, "long.tar");
        await using (var writer = new TarWriter(File.Create(path), format))
        {
            var source = Path.Combine(folder, "source");
            await File.WriteAllTextAsync(source, "weights", Stop);
            await writer.WriteEntryAsync(source, name, Stop);
            await writer.WriteEntryAsync(source, "short", Stop);
        }

        await UnpackAsync(path);
        Assert.Equal("weights", await File.ReadAllTextAsync(Path.Combine(Target, name), Stop));
        Assert.Equal("weights", await File.ReadAllTextAsync(Path.Combine(Target, "short"), Stop));
    }

    [Fact]
    public async Task The_directory_of_a_zip_file_is_read_within_its_limit()
    {
        var many = Make(ArchiveFormat.Zip, [.. Enumerable.Range(0, 300).Select(i => ($"f{i}", "x"))]);
        var failure = await Assert.ThrowsAsync<ModelFailureException>(() => UnpackAsync(many, entries: 50));
        Assert.Contains("its directory has more than 8000 bytes", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Too_many_entries_a_path_twice_and_a_file_as_a_folder_are_rejected()
    {
        var many = Make(ArchiveFormat.Tar, [.. Enumerable.Range(0, 20).Select(i => ($"f{i}", "x"))]);
        var failure = await Assert.ThrowsAsync<ModelFailureException>(() => UnpackAsync(many, entries: 10));
        Assert.Contains("more than 10 entries", failure.Message, StringComparison.Ordinal);
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
            DataStream = new MemoryStream(Encoding.UTF8.GetBytes(content)),
        });
}
