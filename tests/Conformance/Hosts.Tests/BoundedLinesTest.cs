using System.Text;
using Sluice.Hosting;

namespace Sluice.Hosts.Tests;

/// <summary>Lines of a worker's output, which may have any length.</summary>
public sealed class BoundedLinesTest
{
    [Theory]
    [InlineData("", new string[0])]
    [InlineData("a", new[] { "a" })]
    [InlineData("a\n\nb\r\n", new[] { "a", "", "b" })]
    public async Task Lines_are_separated(string text, string[] lines) => Assert.Equal(lines, await ReadAsync(text));

    [Fact]
    public async Task A_line_without_an_end_is_cut_and_the_next_one_is_whole()
    {
        var lines = await ReadAsync(new string('x', 3_000_000) + "\nnext\n");
        Assert.Equal([BoundedLines.MaxLine, 4], lines.Select(l => l.Length));
        Assert.Equal("next", lines[1]);
    }

    private static async Task<List<string>> ReadAsync(string text)
    {
        using var stream = new MemoryStream(Encoding.UTF8.GetBytes(text));
        return await BoundedLines.ReadAsync(stream, CancellationToken.None).ToListAsync();
    }
}
