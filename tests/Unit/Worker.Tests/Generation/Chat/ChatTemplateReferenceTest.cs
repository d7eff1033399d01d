using System.Diagnostics;
using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Sluice.Testing;
using Sluice.Worker.Generation.Chat;
using Sluice.Worker.Generation.Chat.Jinja;
using Sluice.Worker.Generation.Chat.Jinja.Evaluation;
using Sluice.Worker.Generation.Chat.Jinja.Values;

namespace Sluice.Worker.Tests.Generation.Chat;

/// <summary>Compares chat templates with the reference implementation, <c>@huggingface/jinja</c>.</summary>
public sealed class ChatTemplateReferenceTest
{
    private static readonly int Conversations = RandomCases.Count(400);

    [Fact]
    public async Task Templates_of_known_models_write_the_same_bytes_as_the_reference()
    {
        ReferenceTemplates.Require();
        var templates = ReferenceTemplates.Load();
        Assert.Superset(
            new HashSet<string> { "deepseek_v3", "gemini", "gemma3", "llama3", "llama3_1", "qwen3" },
            templates.Select(t => t.Name).ToHashSet());
        foreach (var comparison in await CompareAsync(templates))
        {
            Assert.Empty(comparison.Differences);
            Assert.True(comparison.Equal > Conversations / 8, $"{comparison.Name}: the reference renders too few.");
        }
    }

    [Fact]
    public async Task Small_templates_write_what_the_reference_writes()
    {
        ReferenceTemplates.Require();
        var (texts, _) = await RenderAll(SmallTemplates.All.Select(t => t.Template));
        Assert.Equal(SmallTemplates.All, SmallTemplates.All.Zip(texts, (t, text) => (t.Template, text ?? "error")));
    }

    [Fact]
    public async Task Random_templates_write_the_same_bytes_as_the_reference()
    {
        ReferenceTemplates.Require();
        var random = new RandomTemplates(20261129);
        string[] templates = [.. Enumerable.Range(0, RandomCases.Count(4_000)).Select(_ => random.Next())];
        var (expected, _) = await RenderAll(templates);
        var rendered = 0;
        for (var i = 0; i < templates.Length; i++)
        {
            if (expected[i] is null) continue;
            rendered++;
            using var data = JsonDocument.Parse(SmallTemplates.Data);
            Assert.Equal(
                (templates[i], expected[i]),
                (templates[i], Render(JinjaTemplate.Parse(templates[i], TemplateLimits.Default), data.RootElement)));
        }

        Assert.True(rendered > templates.Length / 3, $"The reference renders only {rendered} of {templates.Length}.");
    }

    private static Task<(IReadOnlyList<string?> Texts, TimeSpan Time)> RenderAll(IEnumerable<string> templates) =>
        ReferenceTemplates.RenderAsync([.. templates.Select(t => new JsonObject
        {
            ["template"] = t,
            ["data"] = JsonNode.Parse(SmallTemplates.Data),
        })]);

    /// <summary>
    /// Writes the table of loadtests/results. SLUICE_CHAT_TEMPLATES is a folder with further templates (*.jinja).
    /// </summary>
    [Fact(Explicit = true)]
    public async Task Comparison_table()
    {
        ReferenceTemplates.Require();
        var further = Environment.GetEnvironmentVariable("SLUICE_CHAT_TEMPLATES") is { } folder
            ? Directory.EnumerateFiles(folder, "*.jinja").Order(StringComparer.Ordinal).Select(f =>
                new NamedTemplate(Path.GetFileNameWithoutExtension(f), File.ReadAllText(f), Tokens))
            : [];
        var table = new StringBuilder();
        table.AppendLine("| template | cases | equal | both reject | different | here | reference |");
        table.AppendLine("|---|---|---|---|---|---|---|");
        foreach (var c in await CompareAsync([.. ReferenceTemplates.Load(), .. further]))
            table.AppendLine(
                CultureInfo.InvariantCulture,
                $"| {c.Name} | {Conversations} | {c.Equal} | {c.BothReject} | {c.Differences.Count} | " +
                $"{c.Time.TotalMicroseconds / Conversations:f0} us | " +
                $"{c.ReferenceTime.TotalMicroseconds / Conversations:f0} us |");
        TestContext.Current.TestOutputHelper!.WriteLine(table.ToString());
    }

    private static readonly Dictionary<string, string> Tokens = new() { ["bos_token"] = "<s>", ["eos_token"] = "</s>" };

    private static async Task<List<Comparison>> CompareAsync(IReadOnlyList<NamedTemplate> templates)
    {
        var comparisons = new List<Comparison>();
        foreach (var template in templates)
        {
            var random = new RandomConversations(20261129);
            var cases = new JsonArray();
            for (var i = 0; i < Conversations; i++)
            {
                var data = random.Next();
                foreach (var (name, token) in template.Tokens) data[name] = token;
                cases.Add(new JsonObject { ["template"] = template.Text, ["data"] = data });
            }

            comparisons.Add(await CompareAsync(template, cases));
        }

        return comparisons;
    }

    private static async Task<Comparison> CompareAsync(NamedTemplate template, JsonArray cases)
    {
        var (expected, referenceTime) = await ReferenceTemplates.RenderAsync(cases);
        var parsed = JinjaTemplate.Parse(template.Text, TemplateLimits.Default);
        var comparison = new Comparison(template.Name) { ReferenceTime = referenceTime };
        for (var i = 0; i < cases.Count; i++)
        {
            using var data = JsonDocument.Parse(cases[i]!["data"]!.ToJsonString());
            var start = Stopwatch.GetTimestamp();
            var text = Render(parsed, data.RootElement);
            comparison.Time += Stopwatch.GetElapsedTime(start);
            if (text != expected[i])
                comparison.Differences.Add($"{template.Name} {i}: {text}\nexpected: {expected[i]}");
            else if (text is null) comparison.BothReject++;
            else comparison.Equal++;
        }

        return comparison;
    }

    private static string? Render(JinjaTemplate template, JsonElement data)
    {
        var values = new JsonValues(text => text);
        try
        {
            return template.Render(
                data.EnumerateObject().Select(p => new KeyValuePair<string, Value>(p.Name, values.Convert(p.Value))),
                TimeProvider.System);
        }
        catch (TemplateException)
        {
            return null;
        }
    }

    private sealed class Comparison(string name)
    {
        public string Name => name;

        public List<string> Differences { get; } = [];

        public int Equal { get; set; }

        public int BothReject { get; set; }

        public TimeSpan Time { get; set; }

        public required TimeSpan ReferenceTime { get; init; }
    }
}
