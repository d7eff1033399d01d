using System.Net;

namespace Sluice.Gateway.Forwarding;

/// <summary>The content of a worker's response, read through another stream.</summary>
/// <param name="inner">The content as the worker sends it.</param>
/// <param name="wrap">Returns the stream around the body; it owns the body.</param>
internal sealed class WrappedContent(HttpContent inner, Func<Stream, Stream> wrap) : HttpContent
{
    protected override Task<Stream> CreateContentReadStreamAsync() =>
        CreateContentReadStreamAsync(CancellationToken.None);

    protected override async Task<Stream> CreateContentReadStreamAsync(CancellationToken cancellationToken) =>
        wrap(await inner.ReadAsStreamAsync(cancellationToken));

    protected override Task SerializeToStreamAsync(Stream stream, TransportContext? context) =>
        throw new NotSupportedException();

    protected override bool TryComputeLength(out long length)
    {
        length = 0;
        return false;
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing) inner.Dispose();
        base.Dispose(disposing);
    }
}
