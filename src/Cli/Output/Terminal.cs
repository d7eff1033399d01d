using System.Text;

namespace Sluice.Cli.Output;

/// <summary>Makes texts of others safe to print.</summary>
internal static class Terminal
{
    /// <summary>Replaces control characters, except line feeds and tabs if <paramref name="lines"/> is set.</summary>
    public static string Clean(string text, bool lines = false)
    {
        if (!text.Any(c => char.IsControl(c))) return text;
        var clean = new StringBuilder(text.Length);
        foreach (var c in text)
            clean.Append(!char.IsControl(c) || (lines && c is '\n' or '\t') ? c : '\uFFFD');
        return clean.ToString();
    }
}
