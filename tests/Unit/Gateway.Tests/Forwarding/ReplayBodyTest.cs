using System.IO.Pipelines;
using Microsoft.AspNetCore.Http;
using Sluice.Gateway.Forwarding;

namespace Sluice.Gateway.Tests.Forwarding;

/// <summary>Tests a request body that can be sent again.</summary>
public sealed class ReplayBodyTest
{
    private static readonly byte[] Bytes = [.. Enumerable.Range(0, 10_000).Select(i => (byte)i)];

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(4096)]
    [InlineData(9_999)]
    [InlineData(10_000)]
    public async Task A_rewound_body_returns_the_same_bytes_after_a_partial_read(int readBefore)
    {
        await using var body = new ReplayBody(PipeReader.Create(new MemoryStream(Bytes)), Bytes.Length);
        await body.ReadExactlyAsync(new byte[readBefore]);
        body.Rewind();
        Assert.True(body.CanReplay);
        Assert.Equal(Bytes, await ReadAsync(body));
        body.Rewind();
        Assert.Equal(Bytes, await ReadAsync(body));
        await body.FinishAsync();
    }

    [Fact]
    public async Task Above_its_limit_the_body_streams_and_cannot_be_sent_again()
    {
        await using var body = new ReplayBody(PipeReader.Create(new MemoryStream(Bytes)), Bytes.Length - 1);
        Assert.Equal(Bytes, await ReadAsync(body));
        Assert.False(body.CanReplay);
    }

    [Fact]
    public async Task A_zero_byte_read_does_not_mean_end_of_stream()
    {
        await using var body = new ReplayBody(PipeReader.Create(new MemoryStream(Bytes)), Bytes.Length);
        Assert.Equal(0, await body.ReadAsync(Memory<byte>.Empty));
        Assert.Equal(Bytes, await ReadAsync(body));
    }

    [Fact]
    public async Task The_pending_read_of_a_cancelled_attempt_continues_for_the_next_attempt()
    {
        var pipe = new Pipe();
        await using var body = new ReplayBody(pipe.Reader, 100);
        using var givenUp = new CancellationTokenSource();
        var first = body.ReadAsync(new byte[10], givenUp.Token);
        await givenUp.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () => await first);
        body.Rewind();

        var second = body.ReadAsync(new byte[10]);
        await pipe.Writer.WriteAsync(new byte[] { 1, 2, 3 });
        Assert.Equal(3, await second);
        using var again = new CancellationTokenSource();
        var third = body.ReadAsync(new byte[10], again.Token);
        await again.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () => await third);
        await body.FinishAsync();
        // The server can use its reader again.
        await pipe.Writer.WriteAsync(new byte[] { 4 });
        Assert.Equal(1, (await pipe.Reader.ReadAsync()).Buffer.Length);
    }

    [Fact]
    public async Task A_body_that_arrived_is_buffered_without_a_wait_and_read_from_its_first_byte()
    {
        var pipe = new Pipe();
        await using var body = new ReplayBody(pipe.Reader, 6);
        Assert.False(body.TryBuffer());
        await pipe.Writer.WriteAsync(new byte[] { 1, 2, 3 });
        Assert.False(body.TryBuffer());
        await pipe.Writer.WriteAsync(new byte[] { 4, 5, 6 });
        await pipe.Writer.CompleteAsync();
        Assert.True(body.TryBuffer());
        Assert.Equal([1, 2, 3, 4, 5, 6], body.Kept.ToArray());
        body.Rewind();
        Assert.Equal([1, 2, 3, 4, 5, 6], await ReadAsync(body));
    }

    [Theory]
    [InlineData(5, 100)]
    [InlineData(100, 5)]
    public async Task A_body_above_a_limit_is_not_buffered_and_loses_nothing(int limit, int maxBytes)
    {
        var pipe = new Pipe();
        await using var body = new ReplayBody(pipe.Reader, limit, maxBytes: maxBytes);
        await pipe.Writer.WriteAsync(new byte[] { 1, 2, 3 });
        Assert.False(body.TryBuffer());
        await pipe.Writer.WriteAsync(new byte[] { 4, 5, 6 });
        await pipe.Writer.CompleteAsync();
        Assert.False(body.TryBuffer());
        body.Rewind();
        if (maxBytes < 6) await Assert.ThrowsAsync<BadHttpRequestException>(() => ReadAsync(body));
        else Assert.Equal([1, 2, 3, 4, 5, 6], await ReadAsync(body));
    }

    private static async Task<byte[]> ReadAsync(Stream stream)
    {
        using var all = new MemoryStream();
        await stream.CopyToAsync(all);
        return all.ToArray();
    }
}
