using System.Text;

namespace Sluice.Cli.Output;

/// <summary>A table for people: columns with headings, aligned, without lines.</summary>
internal sealed class Table(params string[] headings)
{
    private const int Gap = 2;

    private readonly List<string[]> rows = [];

    /// <summary>Adds a row with a cell for each heading.</summary>
    public void Add(params object?[] cells) =>
        rows.Add([.. cells.Select(c => Clean(Convert.ToString(c, System.Globalization.CultureInfo.InvariantCulture)))]);

    /// <summary>Returns the text; <paramref name="empty"/> if there is no row.</summary>
    public string Format(string empty)
    {
        if (rows.Count == 0) return empty + "\n";
        var widths = headings.Select((h, i) => rows.Max(r => Math.Max(h.Length, r[i].Length))).ToArray();
        var text = new StringBuilder();
        foreach (var row in rows.Prepend(headings))
        {
            for (var i = 0; i < row.Length; i++)
                text.Append(i == row.Length - 1 ? row[i] : row[i].PadRight(widths[i] + Gap));
            while (text.Length > 0 && text[^1] == ' ') text.Length--;
            text.Append('\n');
        }

        return text.ToString();
    }

    /// <summary>A text of the gateway or of a worker cannot control the terminal.</summary>
    private static string Clean(string? text) => text is not { Length: > 0 } ? "-" : Terminal.Clean(text);
}
