using System.Text;
using Sluice.Hosting;

namespace Sluice.ControlPlane.Tests.Hosting;

/// <summary>The stored part of a worker's output.</summary>
public sealed class OutputTailTest
{
    [Fact]
    public void The_number_the_length_and_the_size_of_lines_are_limited()
    {
        var lines = new OutputTail();
        for (var i = 0; i < 100; i++) lines.Add($"line {i}");
        Assert.Equal((OutputTail.MaxLines, "line 60"), (lines.Snapshot().Count, lines.Snapshot()[0]));
        lines.Add(new string('x', 15_000_000));
        Assert.Equal(new string('x', OutputTail.MaxLength) + "...", lines.Snapshot()[^1]);
        for (var i = 0; i < 40; i++) lines.Add(new string('\u4e16', 1000));
        Assert.InRange(lines.Snapshot().Sum(Encoding.UTF8.GetByteCount), OutputTail.MaxBytes - 1600, OutputTail.MaxBytes);
        Assert.Equal(141, lines.Added);
    }

    [Theory]
    [InlineData("plain text", "plain text")]
    [InlineData("\u001b[31mred\u001b[0m", "\\u001b[31mred\\u001b[0m")]
    [InlineData("a\0b\rc\td\u007f\u0085", "a\\u0000b\\u000dc\td\\u007f\\u0085")]
    [InlineData("end\u2028of line \u202e", "end\\u2028of line \\u202e")]
    [InlineData("\u00e9\u4e16\ud83d\ude00", "\u00e9\u4e16\ud83d\ude00")]
    public void Characters_that_a_terminal_or_a_log_would_interpret_are_escaped(string written, string kept) =>
        Assert.Equal(kept, new OutputTail().Add(written));

    [Fact]
    public void Unpaired_surrogates_are_not_kept()
    {
        Assert.Equal("a\ufffd", new OutputTail().Add("a\ud83d"));
        Assert.Equal(new string('x', 499) + "...", new OutputTail().Add(new string('x', 499) + "\ud83d\ude00"));
    }

    [Fact]
    public void The_description_of_an_exit_contains_the_last_non_blank_lines()
    {
        var lines = new OutputTail();
        Assert.Equal("", lines.DescribeEnd());
        string[] written = ["earlier", "Traceback:", "  File x", "ValueError: no", "", "   "];
        foreach (var line in written) lines.Add(line);
        Assert.Equal("Traceback: | File x | ValueError: no", lines.DescribeEnd());
    }
}
