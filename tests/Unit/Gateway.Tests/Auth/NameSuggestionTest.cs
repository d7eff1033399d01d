using Sluice.Gateway.Authentication;
using Endpoint = Sluice.Domain.Declarations.Endpoint;

namespace Sluice.Gateway.Tests.Auth;

public sealed class NameSuggestionTest
{
    [Theory]
    [InlineData("digit", " Did you mean 'digits'?")]
    [InlineData("Digits", " Did you mean 'digits'?")]
    [InlineData("stroy", " Did you mean 'story'?")]
    [InlineData("nothing", "")]
    [InlineData("x", "")]
    [InlineData("", "")]
    public void A_similar_name_is_suggested(string name, string suggestion) =>
        Assert.Equal(suggestion, NameSuggestion.For(name, ["digits", "story"]));

    [Theory]
    [InlineData("mine", " The endpoint 'mine' serves other models: sentiment, topics.")]
    [InlineData("topic", " Did you mean 'topics'?")]
    [InlineData("nothing", "")]
    public void The_id_of_an_endpoint_as_a_model_suggests_the_models_of_the_endpoint(string name, string suggestion) =>
        Assert.Equal(suggestion, NameSuggestion.ForModel(
            name, [new Endpoint { Id = "mine", Template = "t", Models = ["sentiment", "topics"] }]));

    [Fact]
    public void A_text_that_is_too_long_for_a_name_gets_no_suggestion() =>
        Assert.Equal("", NameSuggestion.For(new string('a', 129), [new string('a', 128)]));
}
