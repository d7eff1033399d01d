namespace Sluice.Storage.Files;

/// <summary>Writes a blob from its start to its end. It is used by one caller at a time.</summary>
public sealed class BlobWriter : IAsyncDisposable
{
    private readonly BlobStore store;
    private readonly FileStream file;

    internal BlobWriter(BlobStore store, string reference, FileStream file)
    {
        this.store = store;
        this.file = file;
        Reference = reference;
    }

    /// <summary>The reference to the blob.</summary>
    public string Reference { get; }

    /// <summary>The bytes that were written.</summary>
    public long Length { get; private set; }

    /// <summary>The blob as it is now.</summary>
    public Blob Blob => new(Reference, Length);

    /// <summary>Appends bytes.</summary>
    /// <exception cref="Sluice.Storage.Jobs.PayloadException">The file cannot be written.</exception>
    public async ValueTask WriteAsync(ReadOnlyMemory<byte> bytes, CancellationToken ct)
    {
        try
        {
            await file.WriteAsync(bytes, ct);
            Length += bytes.Length;
        }
        catch (Exception e) when (BlobStore.IsDisk(e))
        {
            throw await store.FaultAsync(e);
        }
    }

    /// <summary>Writes everything to the disk. Redis may refer to the bytes afterwards.</summary>
    /// <exception cref="Sluice.Storage.Jobs.PayloadException">The file cannot be written.</exception>
    public async Task FlushAsync()
    {
        try
        {
            await file.FlushAsync();
            file.Flush(flushToDisk: true);
        }
        catch (Exception e) when (BlobStore.IsDisk(e))
        {
            throw await store.FaultAsync(e);
        }

        await store.RequireAsync(Reference);
    }

    /// <summary>Closes the file. Its bytes stay.</summary>
    public ValueTask DisposeAsync() => file.DisposeAsync();
}
