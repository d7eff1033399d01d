using System.Globalization;

namespace Sluice.Domain.Schema;

/// <summary>The versions of the data in Redis that a build can use.</summary>
/// <param name="Oldest">The oldest version.</param>
/// <param name="Newest">The newest version; at least <paramref name="Oldest"/>.</param>
public readonly record struct SchemaRange(int Oldest, int Newest)
{
    /// <summary>The range of this build.</summary>
    public static readonly SchemaRange Own = new(SchemaVersions.Oldest, SchemaVersions.Newest);

    /// <summary>The range of a build that announces none.</summary>
    public static readonly SchemaRange Unannounced = new(SchemaVersions.Unannounced, SchemaVersions.Unannounced);

    /// <summary>Whether a gateway with this range may run while Redis has a schema.</summary>
    public bool Supports(SchemaNumber schema) => schema.Active >= Oldest && schema.Required <= Newest;

    /// <summary>Parses <c>oldest|newest</c>; an empty text is a build that announces no range.</summary>
    public static SchemaRange Parse(string text)
    {
        if (text.Length == 0) return Unannounced;
        var parts = text.Split('|');
        return new SchemaRange(
            int.Parse(parts[0], CultureInfo.InvariantCulture), int.Parse(parts[1], CultureInfo.InvariantCulture));
    }
}
