using System.Text;
using Sluice.Gateway.Forwarding;

namespace Sluice.Gateway.Tests.Forwarding;

/// <summary>Tests how the marks are removed from a worker's stream.</summary>
public sealed class MarkedEventsTest
{
    private const string Whole = ": 5 12\nhello: 0 13\n: 3 1:9!\nyou: 4 end\ndone";

    [Theory]
    [InlineData(1, 1)]
    [InlineData(3, 2)]
    [InlineData(7, 100)]
    [InlineData(1000, 1)]
    [InlineData(1000, 1000)]
    public async Task Whatever_the_pieces_the_events_are_the_same(int arrives, int reads)
    {
        using var stream = new ResumableStream("x", canResume: true);
        Assert.Equal("helloyoudone", await ReadAsync(Pieces(Whole, arrives), stream, reads));
        Assert.Equal((3, true, "12 13 1:9! "), (stream.Parts, stream.HasEnded, MarksOf(stream)));
        Assert.Null(stream.Failure);
    }

    [Fact]
    public async Task Wherever_a_stream_is_cut_the_client_has_whole_parts_and_the_marks_of_them()
    {
        for (var length = 0; length < Whole.Length; length++)
        {
            using var stream = new ResumableStream("x", canResume: true);
            var text = await ReadAsync(Pieces(Whole[..length], 5, fails: true), stream, 4);
            var expected = length < 12 ? ("", "") : length < 19 ? ("hello", "12 ") : length < 31
                ? ("hello", "12 13 ") : ("helloyou", "12 13 1:9! ");
            Assert.Equal((expected.Item1, expected.Item2, false), (text, MarksOf(stream), stream.HasEnded));
            Assert.IsType<IOException>(stream.Failure);
        }
    }

    [Fact]
    public async Task A_body_that_ends_without_an_end_is_incomplete()
    {
        using var stream = new ResumableStream("x", canResume: true);
        Assert.Equal("hello", await ReadAsync(Pieces(": 5 12\nhello", 100), stream, 100));
        Assert.IsType<HttpIOException>(stream.Failure);
    }

    [Fact]
    public async Task A_failure_after_the_end_is_none()
    {
        using var stream = new ResumableStream("x", canResume: true);
        Assert.Equal("helloyoudone", await ReadAsync(Pieces(Whole, 100, fails: true), stream, 100));
        Assert.Null(stream.Failure);
    }

    [Fact]
    public async Task A_stream_that_cannot_be_continued_fails()
    {
        using var stream = new ResumableStream("x", canResume: false);
        await Assert.ThrowsAsync<IOException>(
            () => ReadAsync(Pieces(": 5 12\nhello", 100, fails: true), stream, 100));
        Assert.Equal("", MarksOf(stream));
    }

    [Fact]
    public async Task A_stream_with_too_many_marks_cannot_be_continued()
    {
        using var stream = new ResumableStream("x", canResume: true);
        var parts = (ResumableStream.MaxMarksBytes / 9) + 1;
        var text = string.Concat(Enumerable.Repeat(": 1 12345678\na", parts)) + ": 0 end\n";
        Assert.Equal(parts, (await ReadAsync(Pieces(text, 4096), stream, 4096)).Length);
        Assert.Equal((false, true, 0), (stream.CanResume, stream.HasEnded, stream.Marks.Length));
    }

    [Theory]
    [InlineData("data: no mark in sixty-four bytes, so the worker has announced what it does not do\n\n")]
    [InlineData(": x 1\n")]
    [InlineData(": 5\nhello")]
    [InlineData(": -1 1\n")]
    [InlineData(": 1048577 1\n")]
    public async Task A_stream_without_valid_marks_is_an_error(string text)
    {
        using var stream = new ResumableStream("x", canResume: true);
        await Assert.ThrowsAsync<InvalidDataException>(() => ReadAsync(Pieces(text, 100), stream, 100));
    }

    [Fact]
    public async Task A_read_of_zero_bytes_waits_for_events()
    {
        using var stream = new ResumableStream("x", canResume: true);
        await using var events = new MarkedEvents(Pieces(": 0 1\n: 5 2\nhello: 0 end\n", 3), stream);
        Assert.Equal(0, await events.ReadAsync(Memory<byte>.Empty));
        var buffer = new byte[10];
        Assert.Equal("hello", Encoding.ASCII.GetString(buffer, 0, await events.ReadAsync(buffer)));
        Assert.Equal(0, await events.ReadAsync(buffer));
    }

    private static string MarksOf(ResumableStream stream) => Encoding.ASCII.GetString(stream.Marks.Span);

    private static async Task<string> ReadAsync(Stream body, ResumableStream stream, int size)
    {
        await using var events = new MarkedEvents(body, stream);
        var (text, buffer) = (new StringBuilder(), new byte[size]);
        while (await events.ReadAsync(buffer) is var count and > 0)
            text.Append(Encoding.ASCII.GetString(buffer, 0, count));
        return text.ToString();
    }

    private static PieceStream Pieces(string text, int size, bool fails = false) =>
        new(Encoding.ASCII.GetBytes(text), size, fails);

    /// <summary>Returns bytes in pieces, and then ends or fails.</summary>
    private sealed class PieceStream(byte[] bytes, int size, bool fails) : MemoryStream(bytes)
    {
        public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            if (fails && Position == Length) throw new IOException("the worker is gone");
            return base.ReadAsync(buffer[..Math.Min(buffer.Length, size)], cancellationToken);
        }
    }
}
