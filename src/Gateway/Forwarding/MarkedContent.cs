using System.Net;

namespace Sluice.Gateway.Forwarding;

/// <summary>The content of a worker's response without its marks.</summary>
/// <param name="inner">The content as the worker sends it.</param>
/// <param name="stream">Records the parts.</param>
internal sealed class MarkedContent(HttpContent inner, ResumableStream stream) : HttpContent
{
    protected override Task<Stream> CreateContentReadStreamAsync() =>
        CreateContentReadStreamAsync(CancellationToken.None);

    protected override async Task<Stream> CreateContentReadStreamAsync(CancellationToken cancellationToken) =>
        new MarkedEvents(await inner.ReadAsStreamAsync(cancellationToken), stream);

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
