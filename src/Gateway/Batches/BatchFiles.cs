using System.Buffers;
using Sluice.Storage.Batches;
using Sluice.Storage.Files;

namespace Sluice.Gateway.Batches;

/// <summary>Writes the files with the output of a batch.</summary>
public sealed class BatchFiles(FileStore files, BlobStore blobs, BatchSettings settings)
{
    private const int BufferBytes = 64 << 10;

    /// <summary>
    /// Joins the committed bytes of parts in a file of the owner, and returns its id; null: there are no bytes. The id
    /// follows from the batch, so a repeated call returns the same file.
    /// </summary>
    /// <param name="batch">The batch.</param>
    /// <param name="request">What its client asked.</param>
    /// <param name="parts">The parts.</param>
    /// <param name="kind">What the file has: <c>output</c> or <c>error</c>.</param>
    /// <param name="ct">Stops the work.</param>
    public async Task<string?> WriteAsync(BatchState batch, BatchRequest request, IReadOnlyList<Blob> parts,
        string kind, CancellationToken ct)
    {
        if (parts.Sum(p => p.Length) == 0) return null;
        var id = $"file-{batch.Id["batch_".Length..]}-{kind}";
        if (await files.FindAsync(id, batch.Owner, ct) is not null) return id;
        await using var writer = await blobs.CreateAsync();
        var isUsed = false;
        try
        {
            foreach (var part in parts) await CopyAsync(part, writer, ct);
            await writer.FlushAsync();
            var keep = request.OutputSeconds > 0 ? TimeSpan.FromSeconds(request.OutputSeconds) : settings.KeepOutput;
            // From here on Redis may refer to the bytes, although the call fails.
            isUsed = true;
            isUsed = (await files.PutAsync(id, batch.Owner, "batch_output", $"{batch.Id}_{kind}.jsonl", writer.Blob,
                keep, FileLimits.None, ct)).IsNew;
            return id;
        }
        finally
        {
            if (!isUsed) blobs.Delete(writer.Reference);
        }
    }

    private async Task CopyAsync(Blob part, BlobWriter to, CancellationToken ct)
    {
        await using var from = await blobs.OpenAsync(part.Reference);
        var buffer = ArrayPool<byte>.Shared.Rent(BufferBytes);
        try
        {
            for (var left = part.Length; left > 0;)
            {
                var n = await from.ReadAsync(buffer.AsMemory(0, (int)Math.Min(left, buffer.Length)), ct);
                if (n == 0)
                    throw new InvalidDataException(
                        $"Part {part.Reference} of a batch ends {left} bytes early; expected {part.Length} bytes");
                await to.WriteAsync(buffer.AsMemory(0, n), ct);
                left -= n;
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }
}
