using System.Net.ServerSentEvents;
using System.Text;
using Sluice.Gateway.Jobs;

namespace Sluice.Gateway.Tests.Jobs;

public sealed class BoundedEventsTest
{
    [Theory]
    [InlineData(90, 1000, true)]
    [InlineData(9000, 1, false)]
    public async Task The_size_of_an_event_is_limited_but_not_the_number_of_events(int length, int count, bool passes)
    {
        // The stream is read in small pieces, as from a slow worker: bytes after the end of an event count for the next
        // event.
        var text = string.Concat(Enumerable.Repeat($"data: {new string('a', length)}\n\n", count));
        await using var events = new BoundedEvents(new Pieces(new MemoryStream(Encoding.UTF8.GetBytes(text))), 200);
        var seen = 0;
        async Task ReadAsync()
        {
            await foreach (var item in SseParser.Create(events).EnumerateAsync())
            {
                events.Next();
                seen += item.Data.Length;
            }
        }

        if (passes) await ReadAsync();
        else await Assert.ThrowsAsync<EventTooLargeException>(ReadAsync);
        Assert.Equal(passes ? length * count : 0, seen);
    }

    private sealed class Pieces(Stream inner) : MemoryStream
    {
        public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) =>
            inner.ReadAsync(buffer[..Math.Min(50, buffer.Length)], cancellationToken);
    }
}
