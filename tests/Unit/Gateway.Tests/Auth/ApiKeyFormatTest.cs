using Sluice.Gateway.Authentication;

namespace Sluice.Gateway.Tests.Auth;

public sealed class ApiKeyFormatTest
{
    [Fact]
    public void A_new_key_contains_its_id_and_is_unique()
    {
        var keys = Enumerable.Range(0, 100).Select(_ => ApiKeyFormat.New()).ToList();
        Assert.All(keys, k =>
        {
            Assert.True(ApiKeyFormat.TryReadId(k.Text, out var id));
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
    public void A_mistyped_key_is_detected_without_a_lookup(int at)
    {
        var text = ApiKeyFormat.New().Text.ToCharArray();
        text[at] = text[at] == 'a' ? 'b' : 'a';
        Assert.False(ApiKeyFormat.TryReadId(text, out _));
    }

    [Theory]
    [InlineData("")]
    [InlineData("slk_")]
    [InlineData("slk_éééééééééé_0000000000000000000000000000000000000000000000000")]
    public void A_malformed_key_has_no_id(string text) => Assert.False(ApiKeyFormat.TryReadId(text, out _));
}
