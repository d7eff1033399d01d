using System.Globalization;

namespace Sluice.Worker.Providers;

/// <summary>
/// Parses <c>key=value;key=value</c> options of an execution provider. An unknown name or an invalid value is
/// rejected, and the error suggests the nearest name. ONNX Runtime itself reports such an error only after the model
/// is loaded, and for some options not at all.
/// </summary>
public static class ProviderOptions
{
    /// <summary>Parses options. Throws with setting, option, value and rule if an option is invalid.</summary>
    /// <param name="setting">Name of the environment variable, for the error.</param>
    /// <param name="text">Value of the environment variable. Null or empty: no options.</param>
    /// <param name="known">Official names of the options.</param>
    public static IReadOnlyDictionary<string, string> Parse(string setting, string? text, IReadOnlyList<string> known)
    {
        var options = new Dictionary<string, string>(StringComparer.Ordinal);
        const StringSplitOptions trimmed = StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries;
        foreach (var part in (text ?? "").Split(';', trimmed))
        {
            var at = part.IndexOf('=', StringComparison.Ordinal);
            if (at <= 0) throw new InvalidOperationException($"{setting} has '{part}'; expected option=value");
            var (name, value) = (part[..at].Trim(), part[(at + 1)..].Trim());
            if (!known.Contains(name))
                throw new InvalidOperationException(
                    $"{setting} has option '{name}' (value '{value}'), which does not exist; "
                    + $"the nearest is '{Nearest(name, known)}'");
            if (Expected(name, value) is { } expected)
                throw new InvalidOperationException($"{setting}: option '{name}' is '{value}'; expected {expected}");
            if (!options.TryAdd(name, value))
                throw new InvalidOperationException($"{setting} has option '{name}' twice");
        }

        return options;
    }

    /// <summary>Returns whether a switch is on.</summary>
    public static bool On(this IReadOnlyDictionary<string, string> options, string name) =>
        options.GetValueOrDefault(name) is "1" or "True" or "true";

    /// <summary>
    /// Returns the known name with the fewest edits. An abbreviation (trt, fp16) counts as one edit. The first of
    /// equal names wins.
    /// </summary>
    public static string Nearest(string name, IReadOnlyList<string> known) =>
        known.MinBy(k => Abbreviates(name, k) ? 1 : Edits(name, k))!;

    private static string? Expected(string name, string value)
    {
        if (value.Length == 0) return "a value";
        if (ProviderOptionNames.IsSwitch(name))
            return value is "0" or "1" or "True" or "False" or "true" or "false" ? null : "0 or 1";
        if (ProviderOptionNames.Words(name) is { } words)
            return words.Contains(value) ? null : $"one of {string.Join(", ", words)}";
        if (ProviderOptionNames.Range(name) is not var (least, most)) return null;
        return long.TryParse(value, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var n)
            && n >= least && n <= most
            ? null
            : most is int.MaxValue or long.MaxValue
                ? $"a whole number, at least {least}"
                : $"a whole number from {least} to {most}";
    }

    /// <summary>
    /// Returns whether the other name contains the letters of <paramref name="name"/> in the same order.
    /// </summary>
    private static bool Abbreviates(string name, string known)
    {
        var at = 0;
        foreach (var letter in known)
            if (at < name.Length && letter == name[at]) at++;
        return at == name.Length && name.Length > 2;
    }

    /// <summary>Returns the Levenshtein distance. Upper and lower case count as equal.</summary>
    private static int Edits(string a, string b)
    {
        var row = Enumerable.Range(0, b.Length + 1).ToArray();
        for (var i = 1; i <= a.Length; i++)
        {
            var diagonal = row[0];
            row[0] = i;
            for (var j = 1; j <= b.Length; j++)
            {
                var same = char.ToUpperInvariant(a[i - 1]) == char.ToUpperInvariant(b[j - 1]);
                var next = Math.Min(Math.Min(row[j], row[j - 1]) + 1, diagonal + (same ? 0 : 1));
                (diagonal, row[j]) = (row[j], next);
            }
        }

        return row[^1];
    }
}
