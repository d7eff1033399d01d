using System.Text.Json;
using Microsoft.Extensions.Logging;
using Sluice.Testing;
using Sluice.Worker.Logging;
using Sluice.Worker.Tensors;

namespace Sluice.Worker.Tests.Logging;

/// <summary>Tests changes of the log settings, and the errors of invalid settings.</summary>
public sealed class LogSettingsTest
{
    [Theory]
    [InlineData("""{"log_info":false}""", "warn error")]
    [InlineData("""{"log_warning":false}""", "info error")]
    [InlineData("""{"log_error":false}""", "info warn")]
    [InlineData("""{"log_verbose_level":1}""", "debug info warn error")]
    [InlineData("""{"log_verbose_level":"2"}""", "kestrel debug info warn error")]
    [InlineData("""{"log_info":false,"log_warning":false,"log_error":false}""", "")]
    [InlineData("{}", "info warn error")]
    public void A_change_applies_to_the_next_line(string change, string lines)
    {
        using var said = new StringWriter();
        using var log = new WorkerLog(said, said, new ManualTime());
        log.Change(now => now.With(Json(change)));
        log.CreateLogger("Microsoft.AspNetCore.Server.Kestrel").Log(
            LogLevel.Information,
            default,
            "kestrel",
            null,
            (text, _) => text);
        log.Write(LogLevel.Debug, "Part", "debug");
        log.Info("Part", "info");
        log.Write(LogLevel.Warning, "Part", "warn");
        log.Error("Part", "error");
        Assert.Equal(lines.Split(' ', StringSplitOptions.RemoveEmptyEntries), Last(said));
    }

    [Fact]
    public void Explicitly_requested_output_is_written_independent_of_the_settings()
    {
        using var said = new StringWriter();
        using var log = new WorkerLog(said, said, new ManualTime());
        log.Change(now => now.With(Json("""{"log_info":false}""")));
        log.WriteAlways("Trace", "asked");
        Assert.Equal(["asked"], Last(said));
    }

    [Fact]
    public void An_entry_is_one_line_of_limited_length()
    {
        using var said = new StringWriter();
        using var log = new WorkerLog(said, said, new ManualTime());
        log.Error(
            "Part",
            "failed\n12:00:00.000 info  Part: all is well\u001b[2J\0\u2028" + new string('x', 15_000_000));
        var text = said.ToString();
        Assert.Contains(
            "Part: failed\\n12:00:00.000 info  Part: all is well\\u001b[2J\\u0000\\u2028xxx",
            text,
            StringComparison.Ordinal);
        Assert.DoesNotContain(text.TrimEnd('\n'), char.IsControl);
        Assert.InRange(text.Length, 1, 2 * LogLine.MaxText);
        log.WriteAlways("Trace", new string('t', 10_000));
        Assert.Equal(10_000, Last(said).Last().Length);
    }

    [Theory]
    [InlineData("default", @"^\d\d:\d\d:\d\d\.\d{3} info  Part: text\n$")]
    [InlineData("ISO8601", @"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z info  Part: text\n$")]
    public void The_format_setting_changes_the_time_format(string format, string line)
    {
        using var said = new StringWriter();
        using var log = new WorkerLog(said, said, new ManualTime());
        log.Change(now => now.With(Json($$"""{"log_format":"{{format}}"}""")));
        log.Info("Part", "text");
        Assert.Matches(line, said.ToString());
    }

    [Theory]
    [InlineData("""{"log_info":"yes"}""", "'log_info' is '\"yes\"'; expected true or false")]
    [InlineData("""{"log_error":null}""", "'log_error' is 'null'; expected true or false")]
    [InlineData("""{"log_verbose_level":-1}""", "'log_verbose_level' is '-1'; expected a whole number from 0 to")]
    [InlineData("""{"log_verbose_level":1.5}""", "'log_verbose_level' is '1.5'; expected a whole number")]
    [InlineData("""{"log_format":"RFC3339"}""", "'log_format' is '\"RFC3339\"'; expected default or ISO8601")]
    [InlineData(
        """{"log_file":"/tmp/log"}""",
        "'log_file' is '\"/tmp/log\"'; expected \"\": a worker writes its log to its output, which the gateway stores")]
    [InlineData("""{"log_colour":true}""", "'log_colour' is not a setting; expected one of log_file, log_info")]
    [InlineData("[1]", "The body is '[1]'; expected a JSON object")]
    public void An_error_names_the_field_and_nothing_changes(string change, string says)
    {
        using var log = new WorkerLog(TextWriter.Null, TextWriter.Null, new ManualTime());
        var before = log.Settings;
        var all = change.StartsWith('{') ? "{\"log_warning\":false," + change[1..] : change;
        var refused = Assert.Throws<InvalidRequestException>(() => log.Change(now => now.With(Json(all))));
        Assert.Equal(400, refused.Status);
        Assert.StartsWith(says, refused.Message, StringComparison.Ordinal);
        Assert.Equal(before, log.Settings);
    }

    private static JsonElement Json(string text) => JsonDocument.Parse(text).RootElement;

    private static IEnumerable<string> Last(StringWriter said) =>
        said.ToString().Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(l => l.Split(' ')[^1]);
}
