using System.Text;
using System.Text.RegularExpressions;

namespace Sluice.Domain.Declarations;

/// <summary>
/// Replaces variables in the texts of a manifest: <c>${NAME}</c>, <c>${NAME:-default}</c> (if the variable is missing
/// or empty), and <c>$${</c> for the text <c>${</c>. References to secrets (<see cref="SecretReference"/>) remain. The
/// notation is that of Docker Compose (docs.docker.com/reference/compose-file/interpolation). Pure.
/// </summary>
public static partial class Variables
{
    /// <summary>Replaces the variables of a text.</summary>
    /// <param name="text">The text.</param>
    /// <param name="lookup">Returns the value of a variable, or null.</param>
    /// <param name="missing">Receives the names of missing variables that have no default.</param>
    /// <param name="invalid">Receives the references that have none of the forms.</param>
    public static string Expand(
        string text, Func<string, string?> lookup, ICollection<string> missing, ICollection<string> invalid)
    {
        if (!text.Contains("${", StringComparison.Ordinal)) return text;
        var result = new StringBuilder();
        for (var at = 0; at < text.Length;)
        {
            var next = text.IndexOf("${", at, StringComparison.Ordinal);
            if (next < 0)
            {
                result.Append(text, at, text.Length - at);
                break;
            }

            if (next > at && text[next - 1] == '$')
            {
                result.Append(text, at, next - 1 - at).Append("${");
                at = next + 2;
                continue;
            }

            result.Append(text, at, next - at);
            var match = Reference().Match(text, next);
            at = match.Success ? match.Index + match.Length : next + 2;
            if (!match.Success) invalid.Add(text[next..Math.Min(text.Length, next + 40)]);
            else if (match.Groups["secret"].Success) result.Append(match.Value);
            else result.Append(Value(match, lookup, missing));
        }

        return result.ToString();
    }

    /// <summary>
    /// Whether a manifest may not use a variable: settings of gateways and of the command line are among these names,
    /// and some of them are secrets.
    /// </summary>
    public static bool IsReserved(string name) => name.StartsWith("SLUICE_", StringComparison.Ordinal);

    /// <summary>Returns the names of the variables in a text, without those of secrets.</summary>
    public static IEnumerable<string> NamesIn(string text) =>
        Names().Matches(text).Select(m => m.Groups["name"].Value).Distinct();

    private static string Value(Match match, Func<string, string?> lookup, ICollection<string> missing)
    {
        var name = match.Groups["name"].Value;
        var value = lookup(name);
        var fallback = match.Groups["default"];
        if (value is { Length: > 0 } || (value is not null && !fallback.Success)) return value;
        if (!fallback.Success) missing.Add(name);
        return fallback.Value;
    }

    [GeneratedRegex(@"\G\$\{(?:(?<secret>secret:[^}]*)|(?<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?<default>[^{}]*))?)\}")]
    private static partial Regex Reference();

    [GeneratedRegex(@"(?<!\$)\$\{(?<name>[A-Za-z_][A-Za-z0-9_]*)(?::-[^}]*)?\}")]
    private static partial Regex Names();
}
