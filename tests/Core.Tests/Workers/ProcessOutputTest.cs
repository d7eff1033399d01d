using System.Collections.Concurrent;
using System.Diagnostics;
using Sluice.Core.Workers;

namespace Sluice.Core.Tests.Workers;

/// <summary>What is read of a process, whatever it writes.</summary>
public sealed class ProcessOutputTest
{
    [Theory]
    [InlineData(@"printf 'one\ntwo\r\n\nthree\rfour'", "one|two||three|four")]
    [InlineData(@"printf '\303\251\n\377\n'", "\u00e9|\ufffd")]
    [InlineData("true", "")]
    public async Task Lines_end_with_a_line_feed_a_return_or_the_output(string script, string lines) =>
        Assert.Equal(lines, string.Join('|', await LinesOfAsync(script)));

    [Fact]
    public async Task A_line_that_does_not_end_costs_no_more_than_its_bound()
    {
        var lines = await LinesOfAsync("head -c 20000000 /dev/zero | tr '\\0' x; echo; echo after");
        Assert.Equal([ProcessOutput.MaxLine, "after".Length], lines.Select(l => l.Length));
    }

    private static async Task<IEnumerable<string>> LinesOfAsync(string script)
    {
        using var process = Process.Start(new ProcessStartInfo("/bin/sh", ["-c", script]) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        var lines = new ConcurrentQueue<string>();
        await new ProcessOutput(process, lines.Enqueue).Ended;
        await process.WaitForExitAsync();
        return lines;
    }
}
