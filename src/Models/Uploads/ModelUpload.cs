using System.Buffers;
using System.Security.Cryptography;
using Sluice.Models.Archives;
using Sluice.Models.Downloads;

namespace Sluice.Models.Uploads;

/// <summary>
/// Receives one version of a model: the body is written to disk while it arrives, in one request or in several. The
/// complete body is an ONNX model or an archive. The caller has the lock of the version.
/// </summary>
public sealed class ModelUpload(UploadStore store, string name, string version, TimeProvider time)
{
    /// <summary>The file that receives the body.</summary>
    internal const string Body = "body";

    private const int BufferBytes = 256 << 10;

    private string Folder => store.IncomingFolder(name, version);

    private string BodyPath => Path.Combine(Folder, Body);

    /// <summary>Number of bytes that were received.</summary>
    public long Received => store.Received(name, version) ?? 0;

    /// <summary>Writes a part at the end of what was received. A whole upload replaces what was received.</summary>
    public async Task<UploadResult> WriteAsync(UploadRange range, Stream body, CancellationToken ct)
    {
        Directory.CreateDirectory(Folder);
        var buffer = ArrayPool<byte>.Shared.Rent(BufferBytes);
        try
        {
            await using var file = new FileStream(
                BodyPath, FileMode.OpenOrCreate, FileAccess.Write, FileShare.Read, 0);
            file.SetLength(range.From);
            file.Position = range.From;
            var (length, end) = (range.From, range.From + range.Length ?? long.MaxValue);
            while (await body.ReadAsync(buffer, ct) is var n and > 0)
            {
                length += n;
                if (length > store.Settings.MaxBytes) return UploadResult.TooLarge;
                if (length > end) break;
                await file.WriteAsync(buffer.AsMemory(0, n), ct);
            }

            var isWrong = range.Length is not null && length != end;
            if (isWrong) file.SetLength(range.From);
            RandomAccess.FlushToDisk(file.SafeFileHandle);
            return isWrong ? UploadResult.WrongLength : UploadResult.Stored;
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    /// <summary>Checks the digest of the complete body, unpacks it, and returns the folder to inspect.</summary>
    /// <param name="sha256">The expected SHA-256 of the body; null: it is not checked.</param>
    /// <param name="ct">Cancels the call.</param>
    /// <exception cref="ModelFailureException">The body is not what was announced, or no safe archive.</exception>
    public async Task<string> UnpackAsync(string? sha256, CancellationToken ct)
    {
        if (sha256 is not null)
        {
            await using var file = File.OpenRead(BodyPath);
            var actual = Convert.ToHexStringLower(await SHA256.HashDataAsync(file, ct));
            if (actual != sha256)
                throw new ModelFailureException(
                    $"the SHA-256 of the {file.Length} bytes is '{actual}'; expected {sha256}");
        }

        var folder = Path.Combine(Folder, "unpacked");
        if (Directory.Exists(folder)) Directory.Delete(folder, recursive: true);
        Directory.CreateDirectory(folder);
        if (ModelArchive.Detect(BodyPath) != ArchiveFormat.None)
        {
            await ModelArchive.UnpackAsync(BodyPath, folder, new ArchiveLimits(store.Settings.MaxBytes), ct);
            File.Delete(BodyPath);
            return ModelArchive.FindRoot(folder);
        }

        // The version is then also the version of the Open Inference Protocol, if it can be one.
        var isNumber = version.Length <= 9 && version.All(char.IsAsciiDigit) && version[0] != '0';
        var target = isNumber ? Path.Combine(folder, version) : folder;
        Directory.CreateDirectory(target);
        File.Move(BodyPath, Path.Combine(target, "model.onnx"));
        return folder;
    }

    /// <summary>Makes the unpacked files the version.</summary>
    public UploadedVersion Publish(string files) => store.Publish(name, version, files, time.GetUtcNow());

    /// <summary>Deletes what was received.</summary>
    public void Discard()
    {
        if (Directory.Exists(Folder)) Directory.Delete(Folder, recursive: true);
    }
}
