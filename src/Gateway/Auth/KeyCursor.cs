using System.Globalization;

namespace Sluice.Gateway.Auth;

/// <summary>A place in the list of keys, which is ordered by creation time and then by id. It stays valid when the key itself is revoked.</summary>
/// <param name="Created">UTC ticks.</param>
/// <param name="Id">Key id.</param>
public readonly record struct KeyCursor(long Created, string Id)
{
    public static KeyCursor Of(KeyRecord key) => new(key.CreatedAt.UtcTicks, key.Id);

    /// <summary>Reads what <see cref="ToString"/> wrote.</summary>
    public static bool TryParse(string text, out KeyCursor cursor)
    {
        var dot = text.IndexOf('.', StringComparison.Ordinal);
        cursor = default;
        if (dot < 0 || !long.TryParse(text.AsSpan(0, dot), NumberStyles.None, CultureInfo.InvariantCulture, out var created)) return false;
        cursor = new KeyCursor(created, text[(dot + 1)..]);
        return true;
    }

    /// <summary>Whether a key comes after this place.</summary>
    public bool IsBefore(KeyRecord key) => Created != key.CreatedAt.UtcTicks ? Created < key.CreatedAt.UtcTicks : string.CompareOrdinal(Id, key.Id) < 0;

    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{Created}.{Id}");
}
