using Sluice.Gateway.Startup;

namespace Sluice.Gateway.Tests;

/// <summary>Tests that each example is sent to the path that accepts it, and that no example stops the start.</summary>
public sealed class StartupBannerTest
{
    [Theory]
    [InlineData("""{"inputs":[]}""", "/v2/models/m/infer")]
    [InlineData("""{"text_input":"Once"}""", "/v2/models/m/generate_stream")]
    [InlineData("""{"model":"m","messages":[]}""", "/v1/chat/completions")]
    [InlineData("""{"model":"m","prompt":"Once"}""", "/v1/completions")]
    [InlineData("""{"model":"m","input":["a"]}""", "/v1/embeddings")]
    [InlineData("""{"model":"other","input":["a"]}""", null)]
    [InlineData("""{"input":["a"]}""", null)]
    [InlineData("""{"model":1,"input":["a"]}""", null)]
    [InlineData("""{"model":"m"}""", null)]
    [InlineData("", null)]
    [InlineData("{", null)]
    [InlineData("[]", null)]
    public async Task An_example_is_sent_to_the_path_that_accepts_it(string text, string? path)
    {
        var file = Path.GetTempFileName();
        await File.WriteAllTextAsync(file, text);
        Assert.Equal(path, StartupBanner.FindPath(file, "m"));
        File.Delete(file);
        Assert.Null(StartupBanner.FindPath(file, "m"));
    }
}
