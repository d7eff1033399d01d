using Sluice.Gateway.Auth;

namespace Sluice.Gateway.Tests.Auth;

public sealed class ApiKeyTest
{
    [Fact]
    public void A_new_key_reads_as_its_id_and_is_never_made_twice()
    {
        var keys = Enumerable.Range(0, 100).Select(_ => ApiKey.New()).ToList();
        Assert.All(keys, k =>
        {
            Assert.True(ApiKey.TryReadId(k.Text, out var id));
            Assert.Equal(k.Id, id.ToString());
            Assert.Matches("^slk_[a-z0-9]{10}_[A-Za-z0-9]{49}$", k.Text);
        });
        Assert.Equal(100, keys.Select(k => k.Text).Distinct().Count());
    }

    [Theory]
    [InlineData(0)]
    [InlineData(5)]
    [InlineData(20)]
    [InlineData(63)]
    public void A_mistyped_key_is_told_from_an_unknown_one(int at)
    {
        var text = ApiKey.New().Text.ToCharArray();
        text[at] = text[at] == 'a' ? 'b' : 'a';
        Assert.False(ApiKey.TryReadId(text, out _));
    }

    [Theory]
    [InlineData("")]
    [InlineData("slk_")]
    [InlineData("slk_éééééééééé_0000000000000000000000000000000000000000000000000")]
    public void What_is_no_key_is_none(string text) => Assert.False(ApiKey.TryReadId(text, out _));
}
