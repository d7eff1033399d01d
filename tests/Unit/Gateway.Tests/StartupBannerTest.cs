using Sluice.Gateway.Startup;

namespace Sluice.Gateway.Tests;

/// <summary>Tests that example files of models cannot stop the start.</summary>
public sealed class StartupBannerTest
{
    [Theory]
    [InlineData("""{"inputs":[]}""", "infer")]
    [InlineData("""{"text_input":"Once"}""", "generate_stream")]
    [InlineData("", null)]
    [InlineData("{", null)]
    [InlineData("[]", null)]
    public async Task An_example_that_is_not_a_request_is_left_out(string text, string? verb)
    {
        var file = Path.GetTempFileName();
        await File.WriteAllTextAsync(file, text);
        Assert.Equal(verb, StartupBanner.FindVerb(file));
        File.Delete(file);
        Assert.Null(StartupBanner.FindVerb(file));
    }
}
