using System.Text.RegularExpressions;
using Sluice.Testing;

namespace Sluice.WholeProduct.Tests;

/// <summary>The commands of the guide that uploads models work as printed.</summary>
public sealed partial class UploadGuideTest
{
    [Fact]
    public async Task A_classifier_an_embedding_model_and_a_chat_model_are_uploaded_and_answer()
    {
        var guide = await File.ReadAllTextAsync(Path.Combine(Repository.Root, "docs/guides/bring-your-own-model.md"));
        var section = guide[guide.IndexOf("## Upload a model", StringComparison.Ordinal)..];
        section = section[..section.IndexOf("\n## ", 3, StringComparison.Ordinal)];
        var blocks = Block().Matches(section).Select(m => m.Groups[1].Value).ToList();
        Assert.Equal(3, blocks.Count);
        await using var gateway = await GatewayProcess.StartAsync("templates: [{ name: onnx-cpu }]\nendpoints: []");
        var variables = new Dictionary<string, string?>
        {
            ["SLUICE"] = gateway.Url.ToString().TrimEnd('/'), ["auth"] = $"Authorization: Bearer {gateway.Key}",
        };
        await using var shell = new ChildProcess(
            "/bin/bash", ["-c", "set -e\n" + string.Join("\necho; echo ---\n", blocks)], variables);
        Assert.True(await shell.ExitAsync() == 0, shell.Output);
        var parts = shell.Output.Split("---\n");
        Assert.Contains("\"source\":\"model://digits/1\"", parts[0], StringComparison.Ordinal);
        Assert.Contains("\"logits\"", parts[0], StringComparison.Ordinal);
        Assert.Contains("\"embedding\":[", parts[1], StringComparison.Ordinal);
        Assert.Contains("\"object\":\"chat.completion\"", parts[2], StringComparison.Ordinal);
        Assert.DoesNotContain("\"error\"", shell.Output, StringComparison.Ordinal);
    }

    [GeneratedRegex("```sh\n(.*?)```", RegexOptions.Singleline)]
    private static partial Regex Block();
}
