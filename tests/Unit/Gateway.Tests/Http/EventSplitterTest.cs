using System.Text;
using Sluice.Gateway.Http;

namespace Sluice.Gateway.Tests.Http;

/// <summary>Tests that events are found wherever the bytes are cut.</summary>
public sealed class EventSplitterTest
{
    private const string Stream = "data: a\n\n: comment\ndata:b\r\ndata: c\r\n\r\nevent: x\nid: 1\n\ndata: d\n\n";

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(7)]
    [InlineData(1000)]
    public void Events_are_independent_of_the_cuts(int size)
    {
        var splitter = new EventSplitter();
        var events = Encoding.UTF8.GetBytes(Stream).Chunk(size).SelectMany(c => splitter.Add(c));
        Assert.Equal(["a", "b\nc", "d"], events.Select(Encoding.UTF8.GetString));
    }

    [Fact]
    public void An_event_is_returned_with_its_last_byte()
    {
        var splitter = new EventSplitter();
        Assert.Empty(splitter.Add("data: a\n"u8));
        Assert.Single(splitter.Add("\n"u8));
        Assert.Empty(splitter.Add("data: b"u8));
        splitter.Clear();
        Assert.Equal("c", Encoding.UTF8.GetString(Assert.Single(splitter.Add("data: c\n\n"u8))));
    }

    [Fact]
    public void A_comment_is_reported_once()
    {
        var splitter = new EventSplitter();
        splitter.Add(": wai"u8);
        Assert.False(splitter.HasComment);
        Assert.Empty(splitter.Add("ting\n\n"u8));
        Assert.True(splitter.HasComment);
        splitter.Add("data: a\n\n"u8);
        Assert.False(splitter.HasComment);
    }

    [Fact]
    public void An_event_has_a_limit()
    {
        var splitter = new EventSplitter();
        var half = new byte[EventSplitter.MaxBytes / 2];
        splitter.Add(half);
        splitter.Add(half);
        Assert.Throws<InvalidDataException>(() => splitter.Add("x"u8));
    }
}
