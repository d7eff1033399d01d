namespace Sluice.Gateway.Jobs;

/// <summary>An event stream whose single events are bounded: the parser keeps an event until it is whole, however long it is.</summary>
/// <param name="inner">What a worker sends.</param>
/// <param name="most">Bytes that may come before <see cref="Next"/>; beyond them reading throws <see cref="EventTooLargeException"/>.</param>
internal sealed class BoundedEvents(Stream inner, long most) : Stream
{
    private long read;

    public override bool CanRead => true;

    public override bool CanSeek => false;

    public override bool CanWrite => false;

    public override long Length => throw new NotSupportedException();

    public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }

    /// <summary>An event is whole.</summary>
    public void Next() => read = 0;

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        var n = await inner.ReadAsync(buffer, cancellationToken);
        return (read += n) <= most ? n : throw new EventTooLargeException();
    }

    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override void Flush() => throw new NotSupportedException();

    public override async ValueTask DisposeAsync()
    {
        await inner.DisposeAsync();
        await base.DisposeAsync();
    }
}

/// <summary>One event of a worker's stream is longer than anything that the endpoint takes.</summary>
internal sealed class EventTooLargeException : IOException;
