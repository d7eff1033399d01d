using System.Buffers;

namespace Sluice.Gateway.Forwarding;

/// <summary>
/// A request body that can be sent again: it streams through, and keeps what went by up to a limit. Past the limit it
/// goes on streaming, and cannot be sent again.
/// </summary>
public sealed class ReplayBody(Stream body, int limit) : Stream
{
    private const int FirstRent = 4096;

    private byte[] kept = [];
    private int length;
    private int position;
    private bool ended;

    /// <summary>False once more than the limit went by.</summary>
    public bool CanReplay { get; private set; } = true;

    public override bool CanRead => true;

    public override bool CanSeek => false;

    public override bool CanWrite => false;

    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    /// <summary>Starts again from the first byte. Only while <see cref="CanReplay"/>.</summary>
    public void Rewind() => position = 0;

    public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        if (position < length)
        {
            var n = Math.Min(buffer.Length, length - position);
            kept.AsMemory(position, n).CopyTo(buffer);
            position += n;
            return new ValueTask<int>(n);
        }

        if (ended) return new ValueTask<int>(0);
        // Nothing read into nothing is YARP's way to wait for data without holding a buffer: it is no end.
        if (buffer.IsEmpty) return body.ReadAsync(buffer, cancellationToken);
        var reading = body.ReadAsync(buffer, cancellationToken);
        return reading.IsCompletedSuccessfully ? new ValueTask<int>(Took(buffer, reading.Result)) : TakeAsync(buffer, reading);
    }

    public override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
        ReadAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override void Flush()
    {
    }

    /// <summary>Returns the kept bytes to the pool; the body itself belongs to the server.</summary>
    public void Free()
    {
        CanReplay = false;
        length = position = 0;
        if (kept.Length > 0) ArrayPool<byte>.Shared.Return(kept);
        kept = [];
    }

    private async ValueTask<int> TakeAsync(Memory<byte> buffer, ValueTask<int> reading) => Took(buffer, await reading);

    private int Took(Memory<byte> buffer, int read)
    {
        if (read == 0) ended = true;
        else Keep(buffer.Span[..read]);
        return read;
    }

    private void Keep(ReadOnlySpan<byte> bytes)
    {
        if (!CanReplay) return;
        if (length + bytes.Length > limit)
        {
            Free();
            return;
        }

        if (length + bytes.Length > kept.Length) Grow(length + bytes.Length);
        bytes.CopyTo(kept.AsSpan(length));
        length += bytes.Length;
        position = length;
    }

    private void Grow(int needed)
    {
        var larger = ArrayPool<byte>.Shared.Rent(Math.Max(FirstRent, Math.Max(needed, 2 * kept.Length)));
        kept.AsSpan(0, length).CopyTo(larger);
        if (kept.Length > 0) ArrayPool<byte>.Shared.Return(kept);
        kept = larger;
    }
}
