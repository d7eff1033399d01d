using System.Globalization;

namespace Sluice.Worker.Models;

/// <summary>Selects the versions of a model that are served: the newest ones, listed ones, or all.</summary>
/// <param name="Latest">How many of the newest versions to serve. 0: the listed ones, or all.</param>
/// <param name="Named">Listed versions. Empty: all, unless <paramref name="Latest"/> is above 0.</param>
public sealed record VersionPolicy(int Latest, IReadOnlyList<int> Named)
{
    public static VersionPolicy Default { get; } = new(1, []);

    /// <summary>
    /// Parses <c>latest</c>, <c>latest:2</c>, <c>all</c>, or a list of versions such as <c>1,3</c>. Returns null for
    /// any other text.
    /// </summary>
    public static VersionPolicy? Parse(string text)
    {
        if (text == "all") return new VersionPolicy(0, []);
        if (text == "latest") return Default;
        if (text.StartsWith("latest:", StringComparison.Ordinal))
            return Number(text[7..]) is { } n ? new VersionPolicy(n, []) : null;
        var named = text.Split(',').Select(Number).ToList();
        return named.Contains(null) ? null : new VersionPolicy(0, [.. named.Select(n => n!.Value)]);
    }

    /// <summary>Returns the versions to serve, in ascending order.</summary>
    /// <param name="available">The versions that exist.</param>
    public IReadOnlyList<int> Choose(IEnumerable<int> available)
    {
        var sorted = available.Order().ToList();
        if (Latest > 0) return sorted.TakeLast(Latest).ToList();
        return Named.Count > 0 ? sorted.Where(Named.Contains).ToList() : sorted;
    }

    private static int? Number(string text) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var n) && n > 0 ? n : null;
}
