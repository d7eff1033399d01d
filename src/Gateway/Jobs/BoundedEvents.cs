using Sluice.Gateway.Http;

namespace Sluice.Gateway.Jobs;

/// <summary>
/// Limits the size of a single event of an event stream. The parser has no limit: it buffers an event until it is
/// complete.
/// </summary>
/// <param name="inner">The response body of a worker.</param>
/// <param name="max">Maximum bytes between two calls of <see cref="Next"/>. If there are more, a read throws
/// <see cref="EventTooLargeException"/>.</param>
internal sealed class BoundedEvents(Stream inner, long max) : ReadStream
{
    private long read;

    /// <summary>Starts the count for the next event. The caller calls it after each complete event.</summary>
    public void Next() => read = 0;

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        var n = await inner.ReadAsync(buffer, cancellationToken);
        return (read += n) <= max ? n : throw new EventTooLargeException();
    }

    public override async ValueTask DisposeAsync()
    {
        await inner.DisposeAsync();
        await base.DisposeAsync();
    }
}

/// <summary>An event of a worker stream exceeds the limits of the endpoint.</summary>
internal sealed class EventTooLargeException : IOException;
