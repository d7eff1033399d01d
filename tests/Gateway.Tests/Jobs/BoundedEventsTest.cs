using System.Net.ServerSentEvents;
using System.Text;
using Sluice.Gateway.Jobs;

namespace Sluice.Gateway.Tests.Jobs;

public sealed class BoundedEventsTest
{
    [Theory]
    [InlineData(90, 1000, true)]
    [InlineData(9000, 1, false)]
    public async Task Single_events_are_bounded_and_their_number_is_not(int length, int count, bool passes)
    {
        // Read in small pieces, as a slow worker's are: what comes with the end of an event counts for the next one.
        await using var events = new BoundedEvents(new Pieces(new MemoryStream(
            Encoding.UTF8.GetBytes(string.Concat(Enumerable.Repeat($"data: {new string('a', length)}\n\n", count))))), 200);
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
