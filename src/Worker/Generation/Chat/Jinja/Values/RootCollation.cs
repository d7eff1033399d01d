namespace Sluice.Worker.Generation.Chat.Jinja.Values;

/// <summary>
/// The order of names that JavaScript's <c>localeCompare</c> gives in English, for ASCII: punctuation, digits, letters;
/// case decides only between names that are otherwise equal. Other characters follow in the order of their code.
/// </summary>
internal static class RootCollation
{
    // The root collation of Unicode's CLDR.
    private const string Punctuation = "_-,;:!?.'\"()[]{}@*/\\&#%`^+<=>|~$";

    /// <summary>Compares two names.</summary>
    public static IComparer<string> Comparer { get; } = Comparer<string>.Create(Compare);

    private static int Compare(string a, string b)
    {
        for (var i = 0; i < a.Length && i < b.Length; i++)
        {
            var result = Weight(a[i]).CompareTo(Weight(b[i]));
            if (result != 0) return result;
        }

        if (a.Length != b.Length) return a.Length.CompareTo(b.Length);
        // Lower case is before upper case.
        for (var i = 0; i < a.Length; i++)
            if (a[i] != b[i])
                return b[i].CompareTo(a[i]);
        return 0;
    }

    private static int Weight(char c)
    {
        if (c == ' ') return 1;
        var punctuation = Punctuation.IndexOf(c, StringComparison.Ordinal);
        if (punctuation >= 0) return 2 + punctuation;
        return 64 + char.ToLowerInvariant(c);
    }
}
