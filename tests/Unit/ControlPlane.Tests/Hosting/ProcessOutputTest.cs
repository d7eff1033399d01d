using System.Collections.Concurrent;
using System.Diagnostics;
using Sluice.Hosting.Processes;

namespace Sluice.ControlPlane.Tests.Hosting;

/// <summary>The lines that are read from a process.</summary>
public sealed class ProcessOutputTest
{
    [Theory]
    [InlineData(@"printf 'one\ntwo\r\n\nthree\rfour'", "one|two||three|four")]
    [InlineData(@"printf '\303\251\n\377\n'", "\u00e9|\ufffd")]
    [InlineData("true", "")]
    public async Task A_line_ends_with_a_line_feed_a_carriage_return_or_the_end_of_the_output(
        string script,
        string lines) =>
        Assert.Equal(lines, string.Join('|', await LinesOfAsync(script)));

    [Fact]
    public async Task A_line_without_an_end_is_limited()
    {
        var lines = await LinesOfAsync("head -c 20000000 /dev/zero | tr '\\0' x; echo; echo after");
        Assert.Equal([ProcessOutput.MaxLine, "after".Length], lines.Select(l => l.Length));
    }

    private static async Task<IEnumerable<string>> LinesOfAsync(string script)
    {
        using var process = Process.Start(new ProcessStartInfo("/bin/sh", ["-c", script])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        })!;
        var lines = new ConcurrentQueue<string>();
        await new ProcessOutput(process, lines.Enqueue).Ended;
        await process.WaitForExitAsync();
        return lines;
    }
}
