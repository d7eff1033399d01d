namespace Sluice.Domain.Notation;

/// <summary>Computes Levenshtein's edit distance, ignoring case, for "did you mean" suggestions.</summary>
public static class EditDistance
{
    /// <summary>Maximum distance of a suggested name.</summary>
    private const int Misspelt = 3;

    /// <summary>Returns the known name that is nearest to a misspelled one; null if none is near enough.</summary>
    public static string? Nearest(string name, IEnumerable<string> known) =>
        known.Select(k => (Name: k, Edits: Between(k, name)))
            .Where(k => k.Edits <= Misspelt)
            .OrderBy(k => k.Edits)
            .Select(k => k.Name)
            .FirstOrDefault();

    /// <summary>
    /// Returns how many characters must be inserted, deleted or replaced to convert one text to the other.
    /// </summary>
    public static int Between(string a, string b)
    {
        var row = Enumerable.Range(0, b.Length + 1).ToArray();
        for (var i = 1; i <= a.Length; i++)
        {
            var diagonal = row[0];
            row[0] = i;
            for (var j = 1; j <= b.Length; j++)
            {
                var above = row[j];
                var cost = char.ToLowerInvariant(a[i - 1]) == char.ToLowerInvariant(b[j - 1]) ? 0 : 1;
                row[j] = Math.Min(Math.Min(row[j] + 1, row[j - 1] + 1), diagonal + cost);
                diagonal = above;
            }
        }

        return row[^1];
    }
}
