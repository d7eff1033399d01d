using System.Security.Cryptography;
using System.Text;
using Sluice.Shared;
using Sluice.Storage.Jobs;

namespace Sluice.Storage.Files;

/// <summary>
/// Writes and reads bytes in the payload folder as streams: files of clients, and the parts of a batch's output. They
/// have the same names and the same sweep as the payloads of jobs (<see cref="PayloadSweep"/>).
/// </summary>
public sealed class BlobStore(PayloadShare share)
{
    private const int BufferBytes = 64 << 10;

    /// <summary>The error numbers of a full disk, ENOSPC and EDQUOT; see errno(3).</summary>
    private static readonly int[] NoSpace = [28, 122];

    /// <summary>Creates an empty blob.</summary>
    /// <exception cref="PayloadException">The folder is not available.</exception>
    public async Task<BlobWriter> CreateAsync()
    {
        await share.RequireAsync();
        var owner = await share.OwnerAsync();
        var name = RandomNumberGenerator.GetHexString(PayloadStore.NameDigits - owner.Length, lowercase: true) + owner;
        var path = PathOf("@" + name);
        try
        {
            PrivateFiles.CopySharedAccess(share.Folder, Directory.CreateDirectory(Path.GetDirectoryName(path)!));
            var file = new FileStream(path, FileMode.CreateNew, FileAccess.Write, FileShare.ReadWrite, BufferBytes,
                FileOptions.Asynchronous);
            PrivateFiles.CopySharedAccess(share.Folder, new FileInfo(path));
            return new BlobWriter(this, "@" + name, file);
        }
        catch (Exception e) when (IsDisk(e))
        {
            throw await FaultAsync(e);
        }
    }

    /// <summary>Opens a blob. The caller disposes the stream.</summary>
    /// <exception cref="PayloadException">The file cannot be opened.</exception>
    public async Task<Stream> OpenAsync(string reference)
    {
        try
        {
            return new FileStream(PathOf(reference), FileMode.Open, FileAccess.Read,
                FileShare.ReadWrite | FileShare.Delete, BufferBytes, FileOptions.Asynchronous);
        }
        catch (Exception e) when (IsDisk(e))
        {
            throw await FaultAsync(e);
        }
    }

    /// <summary>Deletes a blob. It never throws: the sweep deletes what cannot be deleted now.</summary>
    public void Delete(string reference)
    {
        try
        {
            File.Delete(PathOf(reference));
        }
        catch (Exception e) when (IsDisk(e))
        {
            // The sweep deletes it.
        }
    }

    internal static bool IsDisk(Exception e) => e is IOException or UnauthorizedAccessException;

    /// <summary>Throws if the folder is not the shared one any more, or the blob is not in it.</summary>
    internal async Task RequireAsync(string reference)
    {
        if (!await share.CheckMarkerAsync() || !File.Exists(PathOf(reference)))
            throw new PayloadException(PayloadFault.Unavailable, null);
    }

    internal async Task<PayloadException> FaultAsync(Exception e) => new(
        !await share.CheckMarkerAsync() ? PayloadFault.Unavailable
        : e is FileNotFoundException or DirectoryNotFoundException ? PayloadFault.Lost
        : NoSpace.Contains(e.HResult) ? PayloadFault.Full : PayloadFault.Broken, e);

    private string PathOf(string reference) =>
        PayloadStore.NameOf(Encoding.ASCII.GetBytes(reference)) is { } name
            ? Path.Combine(share.Folder, name[..2], name)
            : throw new InvalidDataException($"Reference to a blob is '{reference}'; expected @ and 32 digits");
}
