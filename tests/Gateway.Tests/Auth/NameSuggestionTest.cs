using Sluice.Gateway.Auth;

namespace Sluice.Gateway.Tests.Auth;

public sealed class NameSuggestionTest
{
    [Theory]
    [InlineData("digit", " (did you mean 'digits'?)")]
    [InlineData("Digits", " (did you mean 'digits'?)")]
    [InlineData("stroy", " (did you mean 'story'?)")]
    [InlineData("nothing", "")]
    [InlineData("x", "")]
    [InlineData("", "")]
    public void A_near_name_is_suggested(string name, string suggestion) => Assert.Equal(suggestion, NameSuggestion.For(name, ["digits", "story"]));

    [Fact]
    public void A_text_that_is_no_name_is_compared_with_none() =>
        Assert.Equal("", NameSuggestion.For(new string('a', 129), [new string('a', 128)]));
}
