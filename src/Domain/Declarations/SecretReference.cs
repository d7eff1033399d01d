using System.Text.RegularExpressions;

namespace Sluice.Domain.Declarations;

/// <summary>
/// <c>${secret:NAME}</c> in the value of an environment variable: the machine that starts the worker replaces it.
/// Declarations, Redis and the API have the reference only. Pure.
/// </summary>
public static partial class SecretReference
{
    /// <summary>The form of a name, for error messages.</summary>
    public const string NameForm = "1 to 64 of a-z, 0-9, '-', '_' and '.', starting with a letter or digit";

    /// <summary>Whether a text is the name of a secret.</summary>
    public static bool IsName(string name) => Name().IsMatch(name);

    /// <summary>Returns the names in a text, also those that are not valid.</summary>
    public static IEnumerable<string> NamesIn(string text) =>
        Reference().Matches(text).Select(m => m.Value.EndsWith('}') ? m.Groups["name"].Value : m.Value);

    /// <summary>Replaces the references of a text.</summary>
    /// <param name="text">The text.</param>
    /// <param name="lookup">Returns the value of a secret. It may throw for an unknown one.</param>
    public static string Resolve(string text, Func<string, string> lookup) =>
        text.Contains("${secret:", StringComparison.Ordinal)
            ? Reference().Replace(text, m => lookup(m.Groups["name"].Value)) : text;

    [GeneratedRegex(@"\$\{secret:(?<name>[^}]*)\}?")]
    private static partial Regex Reference();

    [GeneratedRegex(@"^[a-z0-9][a-z0-9._-]{0,63}\z")]
    private static partial Regex Name();
}
