using Sluice.Gateway.Http;
using Sluice.Gateway.Tokens;

namespace Sluice.Gateway.Forwarding;

/// <summary>The body of a response, whose bytes a scanner sees as they are read.</summary>
internal sealed class ScannedStream(Stream inner, UsageScanner scanner) : ReadStream
{
    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        var read = await inner.ReadAsync(buffer, cancellationToken);
        scanner.Add(buffer.Span[..read]);
        return read;
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing) inner.Dispose();
        base.Dispose(disposing);
    }
}
