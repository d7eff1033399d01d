using System.Security.Cryptography;
using System.Text;
using System.Text.RegularExpressions;
using Sluice.Core.Redis;

namespace Sluice.Core.Jobs;

/// <summary>
/// Inputs and outputs of jobs. Small ones are kept in Redis beside the job; large ones are files of a folder that all gateways
/// on one Redis share (<see cref="PayloadShare"/>), and Redis holds a reference: no script ever carries megabytes, and Redis' memory does not hold them.
/// </summary>
public sealed partial class PayloadStore(PayloadShare share)
{
    /// <summary>Up to here a payload is kept in Redis. A script that carries this takes well under a millisecond.</summary>
    public const int InlineBytes = 256 << 10;

    /// <summary>Hexadecimal digits of a file's name. The last of them are those of <see cref="PayloadShare.OwnerAsync"/>.</summary>
    internal const int NameDigits = 32;

    internal const string PartSuffix = ".part";

    /// <summary>Error numbers that mean a full disk (errno(3)): ENOSPC, EDQUOT.</summary>
    private static readonly int[] NoSpace = [28, 122];

    public PayloadStore(RedisStore redis, string folder) : this(new PayloadShare(redis, folder))
    {
    }

    public PayloadShare Share => share;

    /// <summary>What stands in Redis for this payload: itself, or a reference to the file it was written to. Throws
    /// <see cref="PayloadException"/> when it cannot be written.</summary>
    public async Task<ReadOnlyMemory<byte>> SaveAsync(ReadOnlyMemory<byte> payload, CancellationToken ct, int inlineBytes = InlineBytes)
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
            // Half a file on a full disk keeps it full.
            Remove(path + PartSuffix);
            if (!IsDisk(e)) throw;
            throw new PayloadException(await FaultAsync(e), e);
        }

        // The share may have gone while the file was written: then the file is in a local folder, where no other gateway finds it.
        if (await share.LookAsync() && File.Exists(path)) return Encoding.ASCII.GetBytes("@" + name);
        Remove(path);
        throw new PayloadException(PayloadFault.Unavailable, null);
    }

    /// <summary>The payload that stands in Redis as <paramref name="stored"/>. Throws <see cref="PayloadException"/> when its file
    /// cannot be read.</summary>
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

        // The share may have returned between the read and the look.
        try
        {
            return await File.ReadAllBytesAsync(PathOf(name), ct);
        }
        catch (Exception e) when (IsDisk(e))
        {
            throw new PayloadException(await FaultAsync(e), e);
        }
    }

    /// <summary>The reference, or nothing where the payload itself is stored.</summary>
    public static ReadOnlyMemory<byte> FileOf(ReadOnlyMemory<byte> stored) => NameOf(stored.Span) is null ? default : stored;

    /// <summary>Deletes what a reference refers to; anything else is left alone. Never throws: a file that cannot be deleted now is deleted by
    /// <see cref="PayloadSweep"/>, because no job refers to it.</summary>
    public void Delete(ReadOnlyMemory<byte> stored)
    {
        if (NameOf(stored.Span) is { } name) Remove(PathOf(name));
    }

    private async Task WriteAsync(string path, ReadOnlyMemory<byte> payload, CancellationToken ct)
    {
        var partial = path + PartSuffix;
        PrivateFiles.CopySharedAccess(share.Folder, Directory.CreateDirectory(Path.GetDirectoryName(path)!));
        await using (var file = new FileStream(partial, FileMode.CreateNew, FileAccess.Write, FileShare.None, 0, FileOptions.Asynchronous))
        {
            await file.WriteAsync(payload, ct);
            file.Flush(flushToDisk: true);
        }

        PrivateFiles.CopySharedAccess(share.Folder, new FileInfo(partial));
        File.Move(partial, path);
    }

    private async Task<PayloadFault> FaultAsync(Exception e)
    {
        if (!await share.LookAsync()) return PayloadFault.Unavailable;
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
            // The sweep finds it.
        }
    }

    private static bool IsDisk(Exception e) => e is IOException or UnauthorizedAccessException;

    private string PathOf(string name) => Path.Combine(share.Folder, name[..2], name);

    /// <summary>JSON never begins with an @.</summary>
    private static string? NameOf(ReadOnlySpan<byte> stored)
    {
        if (stored.Length != NameDigits + 1 || stored[0] != (byte)'@') return null;
        var name = Encoding.ASCII.GetString(stored[1..]);
        return Name().IsMatch(name) ? name : null;
    }

    [GeneratedRegex(@"^[0-9a-f]{32}\z")]
    private static partial Regex Name();
}
