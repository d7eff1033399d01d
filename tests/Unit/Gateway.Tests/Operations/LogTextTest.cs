using System.Text.Json.Nodes;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Logging.Console;
using Sluice.Gateway.Observability;

namespace Sluice.Gateway.Tests.Operations;

/// <summary>Tests how texts of workers, handlers and clients appear in the log.</summary>
public sealed class LogTextTest
{
    private const string Forged = "failed\n12:00:00.000 info  Gate: all is well\u001b[2J\0\r\u2028\u202e\ud800x";

    [Theory]
    [InlineData("Worker a of e is ready after 12 ms", "Worker a of e is ready after 12 ms")]
    [InlineData("Grüße 漢字 😀", "Grüße 漢字 😀")]
    [InlineData("a\tb\nc\rd", "a\\tb\\nc\\rd")]
    [InlineData("\u001b[31m\u007f\u0085\u2028\u202e\0", "\\u001b[31m\\u007f\\u0085\\u2028\\u202e\\u0000")]
    public void Control_characters_are_escaped_and_letters_are_not(string text, string line) =>
        Assert.Equal(line, LogText.Line(text));

    /// <summary>A separate test, because the test runner cannot pass an unpaired surrogate.</summary>
    [Fact]
    public void An_unpaired_surrogate_is_escaped() => Assert.Equal("half \\ud800", LogText.Line("half \ud800"));

    [Fact]
    public void A_long_text_is_truncated_between_characters_and_its_length_is_reported()
    {
        var line = LogText.Line(new string('a', LogText.MaxText - 1) + "😀" + new string('b', 15_000_000));
        Assert.Equal(new string('a', LogText.MaxText - 1) + "... (15004097 characters)", line);
    }

    [Fact]
    public void A_log_entry_is_one_line_and_the_lines_of_an_exception_are_indented()
    {
        var formatter = new LineFormatter(TimeProvider.System);
        var lines = Write(formatter, Forged, new InvalidOperationException(Forged)).TrimEnd('\n').Split('\n');
        Assert.Contains(
            "warn  Gate: Job failed: failed\\n12:00:00.000 info  Gate: all is well\\u001b[2J\\u0000\\r",
            lines[0],
            StringComparison.Ordinal);
        Assert.All(lines[1..], l => Assert.StartsWith("    ", l, StringComparison.Ordinal));
        Assert.All(lines, l => Assert.DoesNotContain(l, char.IsControl));
        Assert.InRange(Write(formatter, new string('x', 15_000_000), null).Length, 1, 2 * LogText.MaxText);
    }

    [Fact]
    public void A_JSON_log_entry_is_one_object_with_truncated_fields()
    {
        var text = Write(new JsonLineFormatter(TimeProvider.System), Forged + new string('x', 15_000_000), null);
        var entry = JsonNode.Parse(Assert.Single(text.Split('\n', StringSplitOptions.RemoveEmptyEntries)))!;
        Assert.Equal(
            "Warning Sluice.Gate 7 JobFailed",
            $"{entry["LogLevel"]} {entry["Category"]} {entry["EventId"]} {entry["EventName"]}");
        Assert.StartsWith("Job failed: failed\\n12:00", (string?)entry["Message"], StringComparison.Ordinal);
        Assert.InRange(((string)entry["State"]!["Why"]!).Length, LogText.MaxText, LogText.MaxText + 100);
        Assert.Equal(3, (int)entry["State"]!["Attempt"]!);
    }

    private static string Write(ConsoleFormatter formatter, string why, Exception? exception)
    {
        using var text = new StringWriter();
        IReadOnlyList<KeyValuePair<string, object?>> state =
            [new("Why", why), new("Attempt", 3), new("{OriginalFormat}", "Job failed: {Why}")];
        var entry = new LogEntry<IReadOnlyList<KeyValuePair<string, object?>>>(
            LogLevel.Warning,
            "Sluice.Gate",
            new EventId(7, "JobFailed"),
            state,
            exception,
            (s, _) => $"Job failed: {s[0].Value}");
        formatter.Write(entry, null, text);
        return text.ToString();
    }
}
