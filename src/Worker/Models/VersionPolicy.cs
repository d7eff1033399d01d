using System.Globalization;

namespace Sluice.Worker.Models;

/// <summary>Which versions of a model are served: the newest so many, named ones, or all.</summary>
/// <param name="Latest">The newest so many; 0: those named, or all.</param>
/// <param name="Named">Named ones; empty: all, unless <paramref name="Latest"/> says otherwise.</param>
public sealed record VersionPolicy(int Latest, IReadOnlyList<int> Named)
{
    public static VersionPolicy Default { get; } = new(1, []);

    /// <summary><c>latest</c>, <c>latest:2</c>, <c>all</c>, or versions like <c>1,3</c>; null: none of these.</summary>
    public static VersionPolicy? Parse(string text)
    {
        if (text == "all") return new VersionPolicy(0, []);
        if (text == "latest") return Default;
        if (text.StartsWith("latest:", StringComparison.Ordinal)) return Number(text[7..]) is { } n ? new VersionPolicy(n, []) : null;
        var named = text.Split(',').Select(Number).ToList();
        return named.Contains(null) ? null : new VersionPolicy(0, [.. named.Select(n => n!.Value)]);
    }

    /// <summary>Of the versions that are there, those to serve, ascending.</summary>
    public IReadOnlyList<int> Choose(IEnumerable<int> there)
    {
        var sorted = there.Order().ToList();
        return Latest > 0 ? sorted.TakeLast(Latest).ToList() : Named.Count > 0 ? sorted.Where(Named.Contains).ToList() : sorted;
    }

    private static int? Number(string text) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var n) && n > 0 ? n : null;
}
