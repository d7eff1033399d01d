using Sluice.Gateway.Http;

namespace Sluice.Gateway.Forwarding;

/// <summary>The body of a response without a length, whose bytes are counted as they are read.</summary>
internal sealed class CountedStream(Stream inner, ForwardState state) : ReadStream
{
    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        var read = await inner.ReadAsync(buffer, cancellationToken);
        state.BytesOut += read;
        return read;
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing) inner.Dispose();
        base.Dispose(disposing);
    }
}
