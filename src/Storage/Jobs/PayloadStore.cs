using System.Security.Cryptography;
using System.Text;
using System.Text.RegularExpressions;
using Sluice.Shared;
using Sluice.Storage.Redis;

namespace Sluice.Storage.Jobs;

/// <summary>
/// Stores inputs and outputs of jobs. Small ones are stored in Redis with the job. Large ones are files in a folder
/// that all gateways on one Redis share (<see cref="PayloadShare"/>), and Redis stores a reference: no script carries
/// megabytes, and they do not occupy the memory of Redis.
/// </summary>
public sealed partial class PayloadStore(PayloadShare share)
{
    /// <summary>
    /// The largest payload that is stored in Redis, in bytes. A script with such a payload takes well under a
    /// millisecond.
    /// </summary>
    public const int InlineBytes = 256 << 10;

    /// <summary>
    /// The number of hexadecimal digits of a file name. The last digits are those of
    /// <see cref="PayloadShare.OwnerAsync"/>.
    /// </summary>
    internal const int NameDigits = 32;

    internal const string PartSuffix = ".part";

    /// <summary>The error numbers of a full disk, ENOSPC and EDQUOT; see errno(3).</summary>
    private static readonly int[] NoSpace = [28, 122];

    public PayloadStore(RedisStore redis, string folder) : this(new PayloadShare(redis, folder))
    {
    }

    public PayloadShare Share => share;

    /// <summary>
    /// Stores a large payload in a file. Returns the value for Redis: the payload, or a reference to its file. Throws
    /// <see cref="PayloadException"/> if the file cannot be written.
    /// </summary>
    public async Task<ReadOnlyMemory<byte>> SaveAsync(
        ReadOnlyMemory<byte> payload,
        CancellationToken ct,
        int inlineBytes = InlineBytes)
    {
        if (payload.Length <= inlineBytes) return payload;
        await share.RequireAsync();
        var owner = await share.OwnerAsync();
        var name = RandomNumberGenerator.GetHexString(NameDigits - owner.Length, lowercase: true) + owner;
        var path = PathOf(name);
        try
        {
            await WriteAsync(path, payload, ct);
        }
        catch (Exception e)
        {
            // A partial file would keep a full disk full.
            Remove(path + PartSuffix);
            if (!IsDisk(e)) throw;
            throw new PayloadException(await FaultAsync(e), e);
        }

        // The share may have become unavailable during the write. The file is then in a local folder, where no other
        // gateway finds it.
        if (await share.CheckMarkerAsync() && File.Exists(path)) return Encoding.ASCII.GetBytes("@" + name);
        Remove(path);
        throw new PayloadException(PayloadFault.Unavailable, null);
    }

    /// <summary>
    /// Loads the payload that Redis stores as <paramref name="stored"/>. Throws <see cref="PayloadException"/> if its
    /// file cannot be read.
    /// </summary>
    public async Task<ReadOnlyMemory<byte>> LoadAsync(byte[] stored, CancellationToken ct)
    {
        if (NameOf(stored) is not { } name) return stored;
        try
        {
            return await File.ReadAllBytesAsync(PathOf(name), ct);
        }
        catch (Exception e) when (IsDisk(e))
        {
            if (await FaultAsync(e) is var fault and not PayloadFault.Lost) throw new PayloadException(fault, e);
        }

        // The share may have become available between the read and the check.
        try
        {
            return await File.ReadAllBytesAsync(PathOf(name), ct);
        }
        catch (Exception e) when (IsDisk(e))
        {
            throw new PayloadException(await FaultAsync(e), e);
        }
    }

    /// <summary>
    /// Returns the size of the payload that Redis stores as <paramref name="stored"/>, in bytes, without loading it; 0
    /// if its file does not exist.
    /// </summary>
    public long LengthOf(byte[] stored)
    {
        if (NameOf(stored) is not { } name) return stored.Length;
        var file = new FileInfo(PathOf(name));
        return file.Exists ? file.Length : 0;
    }

    /// <summary>Returns the reference, or an empty value if the payload itself is stored.</summary>
    public static ReadOnlyMemory<byte> FileOf(ReadOnlyMemory<byte> stored) =>
        NameOf(stored.Span) is null ? default : stored;

    /// <summary>
    /// Deletes the file of a reference; other values are ignored. It never throws: <see cref="PayloadSweep"/> deletes
    /// files that cannot be deleted now, because no job refers to them.
    /// </summary>
    public void Delete(ReadOnlyMemory<byte> stored)
    {
        if (NameOf(stored.Span) is { } name) Remove(PathOf(name));
    }

    private async Task WriteAsync(string path, ReadOnlyMemory<byte> payload, CancellationToken ct)
    {
        var partial = path + PartSuffix;
        PrivateFiles.CopySharedAccess(share.Folder, Directory.CreateDirectory(Path.GetDirectoryName(path)!));
        await using (var file = new FileStream(
            partial,
            FileMode.CreateNew,
            FileAccess.Write,
            FileShare.None,
            bufferSize: 0,
            FileOptions.Asynchronous))
        {
            await file.WriteAsync(payload, ct);
            file.Flush(flushToDisk: true);
        }

        PrivateFiles.CopySharedAccess(share.Folder, new FileInfo(partial));
        File.Move(partial, path);
    }

    private async Task<PayloadFault> FaultAsync(Exception e)
    {
        if (!await share.CheckMarkerAsync()) return PayloadFault.Unavailable;
        if (e is FileNotFoundException or DirectoryNotFoundException) return PayloadFault.Lost;
        return NoSpace.Contains(e.HResult) ? PayloadFault.Full : PayloadFault.Broken;
    }

    private static void Remove(string path)
    {
        try
        {
            File.Delete(path);
        }
        catch (Exception e) when (IsDisk(e))
        {
            // The sweep deletes it.
        }
    }

    private static bool IsDisk(Exception e) => e is IOException or UnauthorizedAccessException;

    private string PathOf(string name) => Path.Combine(share.Folder, name[..2], name);

    /// <summary>
    /// Returns the file name of a reference; null for a payload, because JSON never begins with an @.
    /// </summary>
    internal static string? NameOf(ReadOnlySpan<byte> stored)
    {
        if (stored.Length != NameDigits + 1 || stored[0] != (byte)'@') return null;
        var name = Encoding.ASCII.GetString(stored[1..]);
        return Name().IsMatch(name) ? name : null;
    }

    [GeneratedRegex(@"^[0-9a-f]{32}\z")]
    private static partial Regex Name();
}
