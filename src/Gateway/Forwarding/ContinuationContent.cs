using System.Net;

namespace Sluice.Gateway.Forwarding;

/// <summary>The body of a request for the rest of a stream: the marks, then the body of the client.</summary>
internal sealed class ContinuationContent(ReadOnlyMemory<byte> marks, ReadOnlyMemory<byte> body) : HttpContent
{
    protected override Task SerializeToStreamAsync(Stream stream, TransportContext? context) =>
        SerializeToStreamAsync(stream, context, CancellationToken.None);

    protected override async Task SerializeToStreamAsync(
        Stream stream, TransportContext? context, CancellationToken cancellationToken)
    {
        await stream.WriteAsync(marks, cancellationToken);
        await stream.WriteAsync(body, cancellationToken);
    }

    protected override bool TryComputeLength(out long length)
    {
        length = marks.Length + body.Length;
        return true;
    }
}
