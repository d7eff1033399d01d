namespace Sluice.Models.Archives;

/// <summary>
/// A stream that limits the bytes that are read from it. .NET reads all of the directory of a zip file into memory, and
/// the number of its entries that the file states is not trusted.
/// </summary>
/// <param name="inner">The stream, which the caller disposes.</param>
/// <param name="budget">Number of bytes that can be read.</param>
internal sealed class BudgetStream(Stream inner, long budget) : Stream
{
    private long spent;
    private bool lifted;

    public override bool CanRead => true;

    public override bool CanSeek => inner.CanSeek;

    public override bool CanWrite => false;

    public override long Length => inner.Length;

    public override long Position
    {
        get => inner.Position;
        set => inner.Position = value;
    }

    /// <summary>Ends the limit.</summary>
    public void Lift() => lifted = true;

    public override int Read(byte[] buffer, int offset, int count) => Spend(inner.Read(buffer, offset, count));

    public override int Read(Span<byte> buffer) => Spend(inner.Read(buffer));

    public override async ValueTask<int> ReadAsync(
        Memory<byte> buffer, CancellationToken cancellationToken = default) =>
        Spend(await inner.ReadAsync(buffer, cancellationToken));

    public override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
        ReadAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

    public override long Seek(long offset, SeekOrigin origin) => inner.Seek(offset, origin);

    public override void SetLength(long value) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override void Flush()
    {
        // Nothing is written.
    }

    private int Spend(int bytes)
    {
        if (lifted) return bytes;
        spent += bytes;
        return spent <= budget ? bytes : throw new InvalidDataException($"its directory has more than {budget} bytes");
    }
}
