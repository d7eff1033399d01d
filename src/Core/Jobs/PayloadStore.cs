using System.Security.Cryptography;
using System.Text;
using System.Text.RegularExpressions;
using Sluice.Core.Redis;
using StackExchange.Redis;

namespace Sluice.Core.Jobs;

/// <summary>
/// Inputs and outputs of jobs. Small ones are kept in Redis beside the job; large ones are files of a folder that all gateways
/// on one Redis share, and Redis holds a reference: no script ever carries megabytes, and Redis' memory does not hold them.
/// </summary>
public sealed partial class PayloadStore(RedisStore redis, string folder)
{
    /// <summary>Up to here a payload is kept in Redis. A script that carries this takes well under a millisecond.</summary>
    public const int InlineBytes = 256 << 10;

    /// <summary>Longer than any job can wait, run and be kept.</summary>
    private static readonly TimeSpan Oldest = TimeSpan.FromDays(60);

    private const string Marker = "folder-id";
    private static readonly RedisKey FolderId = "sluice:payloads";

    public string Folder => folder;

    /// <summary>Makes the folder, and finds out whether it is the one that the other gateways on this Redis use; throws when
    /// it is not: results would then be found by some gateways only.</summary>
    public async Task CheckAsync()
    {
        Directory.CreateDirectory(folder);
        var file = Path.Combine(folder, Marker);
        var own = File.Exists(file) ? (await File.ReadAllTextAsync(file)).Trim() : RandomNumberGenerator.GetHexString(16, lowercase: true);
        if (!await redis.Database.StringSetAsync(FolderId, own, when: When.NotExists))
        {
            var known = (string?)await redis.Database.StringGetAsync(FolderId);
            if (known != own)
                throw new InvalidOperationException($"SLUICE_PAYLOADS is '{folder}', but other gateways on this Redis keep large inputs "
                    + "and outputs of jobs in another folder: point all of them at one shared folder (or, when that folder is gone "
                    + $"for good, delete the Redis key {FolderId})");
        }

        await File.WriteAllTextAsync(file, own + "\n");
    }

    /// <summary>What stands in Redis for this payload: itself, or a reference to the file it was written to. Throws
    /// <see cref="PayloadException"/> when it cannot be written.</summary>
    public async Task<ReadOnlyMemory<byte>> SaveAsync(ReadOnlyMemory<byte> payload, CancellationToken ct)
    {
        if (payload.Length <= InlineBytes) return payload;
        var name = RandomNumberGenerator.GetHexString(32, lowercase: true);
        var path = PathOf(name);
        var partial = path + ".part";
        try
        {
            PrivateFiles.ShareLike(folder, Directory.CreateDirectory(Path.GetDirectoryName(path)!));
            await using (var file = new FileStream(partial, FileMode.CreateNew, FileAccess.Write, FileShare.None, 0, FileOptions.Asynchronous))
            {
                await file.WriteAsync(payload, ct);
                file.Flush(flushToDisk: true);
            }

            PrivateFiles.ShareLike(folder, new FileInfo(partial));
            File.Move(partial, path);
        }
        catch (Exception e)
        {
            // Half a file on a full disk keeps it full.
            if (Directory.Exists(Path.GetDirectoryName(path))) File.Delete(partial);
            if (!IsDisk(e)) throw;
            throw new PayloadException($"{payload.Length} bytes of a job cannot be written to SLUICE_PAYLOADS: {e.Message}", e);
        }

        return Encoding.ASCII.GetBytes("@" + name);
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
            throw new PayloadException($"a part of the job cannot be read from SLUICE_PAYLOADS: {e.Message}", e);
        }
    }

    /// <summary>The reference, or nothing where the payload itself is stored.</summary>
    public static ReadOnlyMemory<byte> FileOf(ReadOnlyMemory<byte> stored) => NameOf(stored.Span) is null ? default : stored;

    /// <summary>Deletes what a reference refers to; anything else is left alone.</summary>
    public void Delete(ReadOnlyMemory<byte> stored)
    {
        if (NameOf(stored.Span) is { } name) File.Delete(PathOf(name));
    }

    /// <summary>Deletes files that no job can refer to any more: those of submissions whose outcome stayed unknown.</summary>
    public void Sweep(DateTimeOffset now)
    {
        foreach (var file in Directory.EnumerateFiles(folder, "*", SearchOption.AllDirectories))
            if (Path.GetFileName(file) != Marker && now - File.GetLastWriteTimeUtc(file) > Oldest) File.Delete(file);
    }

    private static bool IsDisk(Exception e) => e is IOException or UnauthorizedAccessException;

    private string PathOf(string name) => Path.Combine(folder, name[..2], name);

    /// <summary>JSON never begins with an @.</summary>
    private static string? NameOf(ReadOnlySpan<byte> stored)
    {
        if (stored.Length != 33 || stored[0] != (byte)'@') return null;
        var name = Encoding.ASCII.GetString(stored[1..]);
        return Name().IsMatch(name) ? name : null;
    }

    [GeneratedRegex("^[0-9a-f]{32}\\z")]
    private static partial Regex Name();
}

/// <summary>The folder of large payloads does not do what it must; the message names the setting and the cause.</summary>
public sealed class PayloadException : IOException
{
    public PayloadException()
    {
    }

    public PayloadException(string message) : base(message)
    {
    }

    public PayloadException(string message, Exception inner) : base(message, inner)
    {
    }
}
