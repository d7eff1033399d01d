using Sluice.Storage.Batches;
using Sluice.Storage.Files;

namespace Sluice.Gateway.Batches;

/// <summary>
/// The parts that one run writes: lines of the output and of the errors. What is not committed does not count, so the
/// parts of a run that was killed can end in the middle of a line.
/// </summary>
internal sealed class BatchOutput(BatchStore store, BlobStore blobs, string batch, string token) : IAsyncDisposable
{
    private Part? output;
    private Part? errors;

    /// <summary>
    /// Appends results and commits them. Null: the run must end, see <see cref="BatchStore.CommitAsync"/>.
    /// </summary>
    public async Task<BatchLook?> CommitAsync(IReadOnlyList<BatchResult> results, CancellationToken ct)
    {
        if (results.Any(r => !r.IsError)) output ??= new Part(await blobs.CreateAsync());
        if (results.Any(r => r.IsError)) errors ??= new Part(await blobs.CreateAsync());
        foreach (var result in results) await (result.IsError ? errors! : output!).Writer.WriteAsync(result.Json, ct);
        var commit = new BatchCommit([.. results.Select(r => r.Number)], results.Count(r => !r.IsError),
            await FlushAsync(output), await FlushAsync(errors));
        var look = await store.CommitAsync(batch, token, commit, ct);
        foreach (var part in new[] { output, errors })
            if (part is not null) part.Committed = part.Writer.Length;
        return look;
    }

    public async ValueTask DisposeAsync()
    {
        if (output is not null) await output.Writer.DisposeAsync();
        if (errors is not null) await errors.Writer.DisposeAsync();
    }

    private static async Task<PartGrowth?> FlushAsync(Part? part)
    {
        if (part is null || part.Writer.Length == part.Committed) return null;
        await part.Writer.FlushAsync();
        return new PartGrowth(part.Writer.Blob, part.Committed);
    }

    private sealed class Part(BlobWriter writer)
    {
        public BlobWriter Writer { get; } = writer;

        public long Committed { get; set; }
    }
}
