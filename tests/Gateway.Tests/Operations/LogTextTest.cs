using System.Text.Json.Nodes;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Logging.Console;
using Sluice.Gateway.Operations;

namespace Sluice.Gateway.Tests.Operations;

/// <summary>What workers, handlers and clients can write into the log.</summary>
public sealed class LogTextTest
{
    private const string Forged = "failed\n12:00:00.000 info  Gate: all is well\u001b[2J\0\r\u2028\u202e\ud800x";

    [Theory]
    [InlineData("Worker a of e is ready after 12 ms", "Worker a of e is ready after 12 ms")]
    [InlineData("Grüße 漢字 😀", "Grüße 漢字 😀")]
    [InlineData("a\tb\nc\rd", "a\\tb\\nc\\rd")]
    [InlineData("\u001b[31m\u007f\u0085\u2028\u202e\0", "\\u001b[31m\\u007f\\u0085\\u2028\\u202e\\u0000")]
    public void Control_characters_are_escaped_and_letters_stay(string text, string line) => Assert.Equal(line, LogText.Line(text));

    /// <summary>Apart: the runner of tests cannot pass half a character.</summary>
    [Fact]
    public void Half_a_character_is_escaped() => Assert.Equal("half \\ud800", LogText.Line("half \ud800"));

    [Fact]
    public void A_long_text_is_cut_at_a_whole_character_and_its_length_is_given()
    {
        var line = LogText.Line(new string('a', LogText.MaxText - 1) + "😀" + new string('b', 15_000_000));
        Assert.Equal(new string('a', LogText.MaxText - 1) + "... (15004097 characters)", line);
    }

    [Fact]
    public void An_entry_is_one_line_and_an_exception_has_indented_lines()
    {
        var lines = Write(new LineFormatter(TimeProvider.System), Forged, new InvalidOperationException(Forged)).TrimEnd('\n').Split('\n');
        Assert.Contains("warn  Gate: Job failed: failed\\n12:00:00.000 info  Gate: all is well\\u001b[2J\\u0000\\r", lines[0], StringComparison.Ordinal);
        Assert.All(lines[1..], l => Assert.StartsWith("    ", l, StringComparison.Ordinal));
        Assert.All(lines, l => Assert.DoesNotContain(l, char.IsControl));
        Assert.InRange(Write(new LineFormatter(TimeProvider.System), new string('x', 15_000_000), null).Length, 1, 2 * LogText.MaxText);
    }

    [Fact]
    public void An_entry_in_json_is_one_object_with_bounded_fields()
    {
        var entry = JsonNode.Parse(Assert.Single(Write(new JsonLineFormatter(TimeProvider.System), Forged + new string('x', 15_000_000), null)
            .Split('\n', StringSplitOptions.RemoveEmptyEntries)))!;
        Assert.Equal("Warning Sluice.Gate 7 JobFailed", $"{entry["LogLevel"]} {entry["Category"]} {entry["EventId"]} {entry["EventName"]}");
        Assert.StartsWith("Job failed: failed\\n12:00", (string?)entry["Message"], StringComparison.Ordinal);
        Assert.InRange(((string)entry["State"]!["Why"]!).Length, LogText.MaxText, LogText.MaxText + 100);
        Assert.Equal(3, (int)entry["State"]!["Attempt"]!);
    }

    private static string Write(ConsoleFormatter formatter, string why, Exception? exception)
    {
        using var text = new StringWriter();
        IReadOnlyList<KeyValuePair<string, object?>> state = [new("Why", why), new("Attempt", 3), new("{OriginalFormat}", "Job failed: {Why}")];
        formatter.Write(new LogEntry<IReadOnlyList<KeyValuePair<string, object?>>>(LogLevel.Warning, "Sluice.Gate", new EventId(7, "JobFailed"), state, exception,
            (s, _) => $"Job failed: {s[0].Value}"), null, text);
        return text.ToString();
    }
}
