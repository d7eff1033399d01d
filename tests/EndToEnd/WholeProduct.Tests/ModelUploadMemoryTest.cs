using System.Formats.Tar;
using System.Globalization;
using System.Net;
using Sluice.Testing;

namespace Sluice.WholeProduct.Tests;

/// <summary>The memory of the gateway during an upload. <c>make load-upload</c> uploads 5 GiB.</summary>
public sealed class ModelUploadMemoryTest(ITestOutputHelper output)
{
    /// <summary>The variable with the size of the upload, MiB.</summary>
    private const string Size = "UPLOAD_MIB";

    /// <summary>More than the buffers of a request and of the unpacker, and less than the upload.</summary>
    private const long MaxGrowth = 64 << 20;

    [Fact]
    public async Task The_memory_of_an_upload_does_not_depend_on_its_size()
    {
        var size = long.Parse(Environment.GetEnvironmentVariable(Size) ?? "256", CultureInfo.InvariantCulture) << 20;
        await using var gateway = await GatewayProcess.StartAsync("templates: []\nendpoints: []");
        gateway.Client.Timeout = Timeout.InfiniteTimeSpan;
        // The first upload loads code and creates buffers.
        await UploadAsync(gateway, "1", 1 << 20);
        var before = Peak(gateway);
        var started = TimeProvider.System.GetTimestamp();
        await UploadAsync(gateway, "2", size);
        var seconds = TimeProvider.System.GetElapsedTime(started).TotalSeconds;
        var growth = Peak(gateway) - before;
        output.WriteLine($"{size >> 20} MiB in {seconds:0.0} s; peak memory before {before >> 20} MiB, "
            + $"growth {growth / 1048576.0:0.0} MiB");
        Assert.InRange(growth, 0, MaxGrowth);
        var listed = await gateway.GetAsync("/api/v1/models/m/2");
        Assert.True((long)listed["bytes"]! > size);
    }

    private static async Task UploadAsync(GatewayProcess gateway, string version, long size)
    {
        using var content = new TarContent(size);
        using var answer = await gateway.Client.PutAsync(
            new Uri($"/api/v1/models/m/{version}", UriKind.Relative), content);
        Assert.Equal(HttpStatusCode.Created, answer.StatusCode);
    }

    /// <summary>The highest resident memory of the process so far, bytes (proc(5), VmHWM).</summary>
    private static long Peak(GatewayProcess gateway)
    {
        const string name = "VmHWM:";
        var line = File.ReadLines($"/proc/{gateway.Process.Id}/status")
            .First(l => l.StartsWith(name, StringComparison.Ordinal));
        return long.Parse(line[name.Length..^2].Trim(), CultureInfo.InvariantCulture) << 10;
    }

    /// <summary>An archive with a model and a large file, which is written while it is sent.</summary>
    private sealed class TarContent(long size) : HttpContent
    {
        protected override async Task SerializeToStreamAsync(Stream stream, TransportContext? context)
        {
            await using var writer = new TarWriter(stream, leaveOpen: true);
            await writer.WriteEntryAsync(Path.Combine(Repository.Models, "digits", "1", "model.onnx"), "1/model.onnx");
            var weights = new PaxTarEntry(TarEntryType.RegularFile, "1/weights.bin")
            {
                DataStream = new ZeroStream(size),
            };
            await writer.WriteEntryAsync(weights);
        }

        protected override bool TryComputeLength(out long length)
        {
            length = 0;
            return false;
        }
    }

    /// <summary>Zeros of a length.</summary>
    private sealed class ZeroStream(long length) : Stream
    {
        public override bool CanRead => true;

        public override bool CanSeek => true;

        public override bool CanWrite => false;

        public override long Length => length;

        public override long Position { get; set; }

        public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

        public override int Read(Span<byte> buffer)
        {
            var n = (int)Math.Min(buffer.Length, length - Position);
            buffer[..n].Clear();
            Position += n;
            return n;
        }

        public override long Seek(long offset, SeekOrigin origin) => Position = offset;

        public override void SetLength(long value) => throw new NotSupportedException();

        public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

        public override void Flush()
        {
            // Nothing is buffered.
        }
    }
}
