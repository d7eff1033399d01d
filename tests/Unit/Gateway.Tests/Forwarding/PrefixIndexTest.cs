using System.Text;
using Sluice.Gateway.Forwarding;

namespace Sluice.Gateway.Tests.Forwarding;

/// <summary>Tests which worker a request prefers, by the beginnings of earlier requests.</summary>
public sealed class PrefixIndexTest
{
    private readonly PrefixIndex index = new(capacity: 40);

    [Fact]
    public void A_request_that_continues_another_one_prefers_its_worker()
    {
        index.Record(Hash(Text('a', 2000)), "p1");
        index.Record(Hash(Text('b', 2000)), "p2");
        Assert.Equal("p1", index.Find(Hash(Text('a', 2000) + Text('c', 1000))));
        Assert.Equal("p2", index.Find(Hash(Text('b', 2000))));
        Assert.Null(index.Find(Hash(Text('c', 2000))));
    }

    [Fact]
    public void Less_than_half_of_a_request_is_no_preference()
    {
        index.Record(Hash(Text('a', 1024)), "p1");
        Assert.Equal("p1", index.Find(Hash(Text('a', 1024) + Text('c', 1024))));
        Assert.Null(index.Find(Hash(Text('a', 1024) + Text('c', 1280))));
    }

    [Fact]
    public void The_last_worker_that_read_the_longest_beginning_counts()
    {
        index.Record(Hash(Text('a', 1024)), "p1");
        index.Record(Hash(Text('a', 1024) + Text('b', 512)), "p2");
        Assert.Equal("p2", index.Find(Hash(Text('a', 1024) + Text('b', 512) + Text('c', 256))));
        Assert.Equal("p2", index.Find(Hash(Text('a', 1024) + Text('c', 512))));
    }

    [Fact]
    public void The_beginnings_that_were_used_least_recently_are_forgotten_ends_first()
    {
        index.Record(Hash(Text('a', 20 * 256)), "p1");
        index.Record(Hash(Text('b', 25 * 256)), "p2");
        Assert.Equal("p2", index.Find(Hash(Text('b', 25 * 256))));
        // 15 of 20 blocks are left.
        Assert.Equal("p1", index.Find(Hash(Text('a', 20 * 256))));
        index.Record(Hash(Text('c', 40 * 256)), "p3");
        Assert.Null(index.Find(Hash(Text('b', 25 * 256))));
    }

    [Fact]
    public void Endpoints_and_flows_have_beginnings_of_their_own_and_a_short_request_has_none()
    {
        var body = Encoding.UTF8.GetBytes(Text('a', 700));
        Assert.Equal(2, PrefixBlocks.Hash("e", "f", body).Length);
        Assert.Empty(PrefixBlocks.Hash("e", "f", body.AsSpan(0, 255)));
        Assert.Equal(PrefixBlocks.MaxBlocks, PrefixBlocks.Hash("e", "f", new byte[1 << 20]).Length);
        Assert.NotEqual(PrefixBlocks.Hash("e", "f", body), PrefixBlocks.Hash("e", "g", body));
        Assert.NotEqual(PrefixBlocks.Hash("e", "f", body), PrefixBlocks.Hash("d", "f", body));
    }

    private static string Text(char c, int length) => new(c, length);

    private static int[] Hash(string body) => PrefixBlocks.Hash("e", "f", Encoding.UTF8.GetBytes(body));
}
