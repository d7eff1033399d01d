using Sluice.Domain.Fleet;

namespace Sluice.Domain.Tests.Fleet;

/// <summary>Tests how workers say what they can hold, and what texts are charged.</summary>
public sealed class TokenCapacityTest
{
    [Theory]
    [InlineData("tokens=8192", 8192, 1, false, 0)]
    [InlineData("tokens=8192, block=16", 8192, 16, false, 0)]
    [InlineData("tokens=8192,row=256,longest=4096", 8192, 256, true, 4096)]
    [InlineData("tokens=8192, other=7", 8192, 1, false, 0)]
    public void The_header_is_read(string header, long tokens, int unit, bool doubles, long longest)
    {
        var read = TokenCapacity.Parse(header);
        Assert.Equal(new TokenCapacity(tokens, unit, doubles, longest), read);
        Assert.Equal(read, TokenCapacity.FromText(read!.Text));
    }

    [Theory]
    [InlineData(null)]
    [InlineData("")]
    [InlineData("8192")]
    [InlineData("tokens=0")]
    [InlineData("tokens=-1")]
    [InlineData("tokens=1e9")]
    [InlineData("tokens=99999999999999")]
    [InlineData("tokens=99999999999999999999999")]
    [InlineData("tokens=8192, block=0")]
    [InlineData("tokens=8192, row=99999999")]
    [InlineData("block=16")]
    public void Other_values_are_ignored(string? header) => Assert.Null(TokenCapacity.Parse(header));

    [Theory]
    [InlineData("tokens=1000", 0, 0)]
    [InlineData("tokens=1000", 1, 1)]
    [InlineData("tokens=1000", 1001, 1000)]
    [InlineData("tokens=1000, block=16", 17, 32)]
    [InlineData("tokens=1000, block=16", 993, 1000)]
    [InlineData("tokens=4096, row=256", 1, 256)]
    [InlineData("tokens=4096, row=256", 257, 512)]
    [InlineData("tokens=4096, row=256", 1025, 2048)]
    [InlineData("tokens=4096, row=256", 5000, 4096)]
    [InlineData("tokens=4096, row=256, longest=600", 5000, 600)]
    [InlineData("tokens=4096, row=256, longest=600", 300, 512)]
    [InlineData("tokens=500, row=256, longest=600", 5000, 500)]
    public void A_text_is_charged_what_it_uses_of_the_cache(string header, long tokens, long charged)
    {
        var capacity = TokenCapacity.Parse(header)!;
        Assert.Equal(charged, capacity.Charge(tokens));
        Assert.Equal(charged, capacity.Charge(charged));
    }

    [Fact]
    public void A_declared_number_replaces_the_number_of_the_worker()
    {
        var reported = new TokenCapacity(1000, 16, false, 512);
        Assert.Equal(reported, TokenCapacity.Choose(0, reported));
        Assert.Null(TokenCapacity.Choose(0, null));
        Assert.Equal(new TokenCapacity(5000), TokenCapacity.Choose(5000, null));
        Assert.Equal(new TokenCapacity(5000, 16, false, 512), TokenCapacity.Choose(5000, reported));
    }
}
