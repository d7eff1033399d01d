using System.Text.RegularExpressions;
using Sluice.Testing;

namespace Sluice.WholeProduct.Tests;

/// <summary>The README's tour works as printed.</summary>
public sealed partial class ReadmeTest
{
    [Fact]
    public async Task Every_line_of_the_tour_works()
    {
        await using var gateway = await GatewayProcess.StartAsync(await File.ReadAllTextAsync(Path.Combine(Repository.Root, "deploy", "endpoints.yaml")));
        var blocks = Block().Matches(await File.ReadAllTextAsync(Path.Combine(Repository.Root, "README.md"))).Select(m => m.Groups[1].Value).ToList();
        Assert.Equal(8, blocks.Count);
        // Without pipefail: head leaves curl in the middle of a file. The first block takes the key and the address from what `make run` printed.
        blocks[0] = blocks[0].Replace("slk_...", gateway.Key, StringComparison.Ordinal)
            .Replace("http://127.0.0.1:8080", gateway.Url.ToString().TrimEnd('/'), StringComparison.Ordinal);
        var script = "set -e\n" + string.Join("\necho; echo ---\n", blocks);

        await using var shell = new ChildProcess("/bin/bash", ["-c", script], new Dictionary<string, string?>());

        Assert.True(await shell.ExitAsync() == 0, shell.Output);
        var parts = shell.Output.Split("---\n");
        Assert.Contains("\"logits\"", parts[1], StringComparison.Ordinal);
        Assert.Matches("cold;dur=[1-9]", parts[1]);
        Assert.Matches("cold;dur=0[,.]", parts[1]);
        Assert.Contains("data: {\"model_name\":\"story\"", parts[2], StringComparison.Ordinal);
        Assert.Contains("\"object\":\"chat.completion.chunk\"", parts[3], StringComparison.Ordinal);
        Assert.Matches("a cat and a kitten: 0[.][5-9][0-9]\na cat and the stock market: 0[.][01][0-9]\n", parts[3]);
        Assert.Contains("\"decisions\":[{", parts[4], StringComparison.Ordinal);
        Assert.Contains("stage=\"model\"", parts[4], StringComparison.Ordinal);
        Assert.Contains("\"key\":\"slk_", parts[5], StringComparison.Ordinal);
        Assert.Contains("\"status\":\"COMPLETED\"", parts[6], StringComparison.Ordinal);
        Assert.Contains("event: done", parts[6], StringComparison.Ordinal);
        Assert.Contains("# The sample models", parts[7], StringComparison.Ordinal);
        Assert.DoesNotContain("\"error\"", shell.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_lines_of_JavaScript_stream_a_chat_with_the_client_of_OpenAI()
    {
        Require.Program("node", "nodejs and npm, which fetch openai");
        await using var gateway = await GatewayProcess.StartAsync(
            await File.ReadAllTextAsync(Path.Combine(Repository.Root, "deploy", "endpoints.yaml")));
        var readme = await File.ReadAllTextAsync(Path.Combine(Repository.Root, "README.md"));
        var client = Path.Combine(Repository.Root, "tests", "Unit", "Worker.Tests", "openai");
        await using var shell = new ChildProcess(
            "/bin/bash",
            ["-c", $"cd '{client}' && node --input-type=module -e '{JavaScript().Match(readme).Groups[1].Value}'"],
            new Dictionary<string, string?>
            {
                ["SLUICE"] = gateway.Url.ToString().TrimEnd('/'), ["SLUICE_KEY"] = gateway.Key,
            });
        Assert.True(await shell.ExitAsync() == 0, shell.Output);
        Assert.Matches("[a-z]{3}", shell.Output);
    }

    [GeneratedRegex("```js\n(.*?)```", RegexOptions.Singleline)]
    private static partial Regex JavaScript();

    [GeneratedRegex("```sh\n(.*?)```", RegexOptions.Singleline)]
    private static partial Regex Block();
}
