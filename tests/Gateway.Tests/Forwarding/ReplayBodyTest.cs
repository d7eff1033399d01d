using System.IO.Pipelines;
using Sluice.Gateway.Forwarding;

namespace Sluice.Gateway.Tests.Forwarding;

/// <summary>A body that can be sent again.</summary>
public sealed class ReplayBodyTest
{
    private static readonly byte[] Bytes = [.. Enumerable.Range(0, 10_000).Select(i => (byte)i)];

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(4096)]
    [InlineData(9_999)]
    [InlineData(10_000)]
    public async Task It_reads_the_same_again_from_wherever_the_first_try_stopped(int readBefore)
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
    public async Task Past_its_limit_it_streams_on_and_cannot_be_sent_again()
    {
        await using var body = new ReplayBody(PipeReader.Create(new MemoryStream(Bytes)), Bytes.Length - 1);
        Assert.Equal(Bytes, await ReadAsync(body));
        Assert.False(body.CanReplay);
    }

    [Fact]
    public async Task A_read_into_nothing_is_no_end()
    {
        await using var body = new ReplayBody(PipeReader.Create(new MemoryStream(Bytes)), Bytes.Length);
        Assert.Equal(0, await body.ReadAsync(Memory<byte>.Empty));
        Assert.Equal(Bytes, await ReadAsync(body));
    }

    [Fact]
    public async Task An_attempt_that_is_given_up_while_it_waits_leaves_its_read_to_the_next()
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
        // The server finds its reader free.
        await pipe.Writer.WriteAsync(new byte[] { 4 });
        Assert.Equal(1, (await pipe.Reader.ReadAsync()).Buffer.Length);
    }

    private static async Task<byte[]> ReadAsync(Stream stream)
    {
        using var all = new MemoryStream();
        await stream.CopyToAsync(all);
        return all.ToArray();
    }
}
