using System.Globalization;
using Sluice.Storage.Keys;

namespace Sluice.Gateway.Authentication;

/// <summary>
/// A position in the list of keys, which is ordered by creation time and then by ID. It remains valid after the key is
/// revoked.
/// </summary>
/// <param name="Created">The creation time in UTC ticks.</param>
/// <param name="Id">The key ID.</param>
public readonly record struct KeyCursor(long Created, string Id)
{
    /// <summary>Returns the position of a key.</summary>
    public static KeyCursor FromKey(ApiKey key) => new(key.CreatedAt.UtcTicks, key.Id);

    /// <summary>Parses the text that <see cref="ToString"/> returns.</summary>
    public static bool TryParse(string text, out KeyCursor cursor)
    {
        var dot = text.IndexOf('.', StringComparison.Ordinal);
        cursor = default;
        if (dot < 0) return false;
        if (!long.TryParse(text.AsSpan(0, dot), NumberStyles.None, CultureInfo.InvariantCulture, out var created))
            return false;
        cursor = new KeyCursor(created, text[(dot + 1)..]);
        return true;
    }

    /// <summary>Returns whether a key is after this position.</summary>
    public bool IsBefore(ApiKey key) => Created != key.CreatedAt.UtcTicks
        ? Created < key.CreatedAt.UtcTicks
        : string.CompareOrdinal(Id, key.Id) < 0;

    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{Created}.{Id}");
}
