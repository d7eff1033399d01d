using System.Buffers;
using System.IO.Pipelines;
using Sluice.Gateway.Http;

namespace Sluice.Gateway.Forwarding;

/// <summary>
/// Streams a request body and buffers the bytes that were read, up to a limit, so that the body can be sent again.
/// Above the limit, or when the gateway's memory budget for bodies is used up, the body still streams but cannot be
/// sent again. Reads are never cancelled, because Kestrel's reader is unusable after a cancelled read.
/// </summary>
/// <param name="body">The body as the client sends it.</param>
/// <param name="limit">Maximum number of bytes that are buffered.</param>
/// <param name="budget">The memory budget; null means none.</param>
/// <param name="maxBytes">
/// Maximum size of the body. A longer body throws <see cref="BadHttpRequestException"/> with status 413, as Kestrel
/// does. Kestrel's own limit cannot be lowered once the body was read to select the endpoint.
/// </param>
public sealed class ReplayBody(PipeReader body, int limit, ByteBudget? budget = null, long maxBytes = long.MaxValue)
    : ReadStream
{
    private const int FirstRent = 4096;

    /// <summary>
    /// The share of the budget for request bodies. The rest is reserved for job submissions, which fail without it; a
    /// request body without budget is still forwarded, but cannot be sent again.
    /// </summary>
    private const double Share = 0.5;

    private byte[] kept = [];
    private int length;
    private int position;
    private long total;
    private bool ended;
    private Task<ReadResult>? pending;

    /// <summary>Whether the body can be sent again: all bytes that were read are buffered.</summary>
    public bool CanReplay { get; private set; } = true;

    /// <summary>The number of bytes that the client sent and an attempt read.</summary>
    public long Total => total;

    /// <summary>
    /// The bytes that were read. They are the whole body if <see cref="CanReplay"/> is true and a worker responded.
    /// </summary>
    public ReadOnlyMemory<byte> Kept => kept.AsMemory(0, length);

    /// <summary>
    /// Buffers what has arrived, without a wait, and returns whether it is the whole body. Valid between attempts.
    /// </summary>
    public bool TryBuffer()
    {
        while (CanReplay && !ended && pending is null && body.TryRead(out var now))
        {
            var size = now.Buffer.Length;
            if (length + size > limit || total + size > maxBytes || !HasRoom((int)size))
            {
                body.AdvanceTo(now.Buffer.Start);
                return false;
            }

            now.Buffer.CopyTo(kept.AsSpan(length));
            length += (int)size;
            total += size;
            ended = now.IsCompleted;
            body.AdvanceTo(now.Buffer.End);
        }

        return CanReplay && ended;
    }

    /// <summary>Restarts at the first byte. Valid only while <see cref="CanReplay"/> is true.</summary>
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
        if (pending is null && body.TryRead(out var now)) return new ValueTask<int>(Consume(now, buffer));
        pending ??= body.ReadAsync(CancellationToken.None).AsTask();
        return WaitAsync(buffer, cancellationToken);
    }

    /// <summary>
    /// Returns the buffer to the pool and ends a pending read, so that the server can use the body again.
    /// </summary>
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
            // The client closed the connection.
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

    /// <summary>
    /// Waits for the pending read. If an attempt is cancelled, the read continues for the next attempt.
    /// </summary>
    private async ValueTask<int> WaitAsync(Memory<byte> buffer, CancellationToken ct)
    {
        var result = await pending!.WaitAsync(ct);
        pending = null;
        return Consume(result, buffer);
    }

    /// <summary>
    /// Copies and buffers the bytes of a read. A zero-byte read does not mean end of stream: YARP uses zero-byte reads
    /// to wait for data without holding a buffer.
    /// </summary>
    private int Consume(ReadResult result, Memory<byte> buffer)
    {
        var n = (int)Math.Min(buffer.Length, result.Buffer.Length);
        result.Buffer.Slice(0, n).CopyTo(buffer.Span);
        if (n > 0) Keep(buffer.Span[..n]);
        ended = result is { IsCompleted: true, Buffer.IsEmpty: true };
        body.AdvanceTo(result.Buffer.GetPosition(n));
        total += n;
        return total <= maxBytes
            ? n
            : throw new BadHttpRequestException(
                $"The request body has more than {maxBytes} bytes (forwarding.maxBodyBytes of the endpoint).",
                StatusCodes.Status413PayloadTooLarge);
    }

    private void Keep(ReadOnlySpan<byte> bytes)
    {
        if (!CanReplay) return;
        if (length + bytes.Length > limit || !HasRoom(bytes.Length))
        {
            Free();
            return;
        }

        bytes.CopyTo(kept.AsSpan(length));
        length += bytes.Length;
        position = length;
    }

    private bool HasRoom(int bytes) => length + bytes <= kept.Length || TryGrow(length + bytes);

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
