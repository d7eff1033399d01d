using System.Buffers;
using System.IO.Pipelines;

namespace Sluice.Gateway.Forwarding;

/// <summary>
/// A request body that can be sent again: it streams through, and keeps what went by up to a limit. Past the limit, or when the
/// gateway's memory for bodies is used, it goes on streaming, and cannot be sent again. A read is never cancelled: Kestrel's reader is of no use after that.
/// </summary>
public sealed class ReplayBody(PipeReader body, int limit, ByteBudget? budget = null) : Stream
{
    private const int FirstRent = 4096;

    /// <summary>The rest of the budget is for job submissions, which fail without it; a body that is not kept only cannot be sent again.</summary>
    private const double Share = 0.5;

    private byte[] kept = [];
    private int length;
    private int position;
    private bool ended;
    private Task<ReadResult>? pending;

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
        if (pending is null && body.TryRead(out var now)) return new ValueTask<int>(Take(now, buffer));
        pending ??= body.ReadAsync(CancellationToken.None).AsTask();
        return WaitAsync(buffer, cancellationToken);
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

    /// <summary>Returns the kept bytes to the pool, and leaves the body to the server as it found it: not being read.</summary>
    public async ValueTask FinishAsync()
    {
        Free();
        if (pending is not { } read) return;
        body.CancelPendingRead();
        try
        {
            body.AdvanceTo((await read).Buffer.Start);
        }
        catch (Exception e) when (e is IOException or OperationCanceledException or BadHttpRequestException)
        {
            // The client is gone.
        }
    }

    private void Free()
    {
        CanReplay = false;
        length = position = 0;
        if (kept.Length > 0) ArrayPool<byte>.Shared.Return(kept);
        budget?.Return(kept.Length);
        kept = [];
    }

    /// <summary>An attempt that is given up stops waiting; its read goes on, for the next attempt.</summary>
    private async ValueTask<int> WaitAsync(Memory<byte> buffer, CancellationToken ct)
    {
        var result = await pending!.WaitAsync(ct);
        pending = null;
        return Take(result, buffer);
    }

    /// <summary>Into an empty buffer goes nothing, and that is no end: YARP waits so for data without holding a buffer.</summary>
    private int Take(ReadResult result, Memory<byte> buffer)
    {
        var n = (int)Math.Min(buffer.Length, result.Buffer.Length);
        result.Buffer.Slice(0, n).CopyTo(buffer.Span);
        if (n > 0) Keep(buffer.Span[..n]);
        ended = result is { IsCompleted: true, Buffer.IsEmpty: true };
        body.AdvanceTo(result.Buffer.GetPosition(n));
        return n;
    }

    private void Keep(ReadOnlySpan<byte> bytes)
    {
        if (!CanReplay) return;
        if (length + bytes.Length > limit || (length + bytes.Length > kept.Length && !TryGrow(length + bytes.Length)))
        {
            Free();
            return;
        }

        bytes.CopyTo(kept.AsSpan(length));
        length += bytes.Length;
        position = length;
    }

    private bool TryGrow(int needed)
    {
        var larger = ArrayPool<byte>.Shared.Rent(Math.Max(FirstRent, Math.Max(needed, 2 * kept.Length)));
        if (budget?.TryTake(larger.Length - kept.Length, Share) == false)
        {
            ArrayPool<byte>.Shared.Return(larger);
            return false;
        }

        kept.AsSpan(0, length).CopyTo(larger);
        if (kept.Length > 0) ArrayPool<byte>.Shared.Return(kept);
        kept = larger;
        return true;
    }
}
