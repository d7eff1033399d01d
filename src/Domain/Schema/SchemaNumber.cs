using System.Globalization;

namespace Sluice.Domain.Schema;

/// <summary>The version of the data in Redis, as the key <c>sluice:schema</c> has it.</summary>
/// <param name="Active">The version whose formats gateways may write.</param>
/// <param name="Required">
/// The version that each gateway must support. It is larger than <paramref name="Active"/> while the version is raised.
/// </param>
public readonly record struct SchemaNumber(int Active, int Required)
{
    /// <summary>Whether the version is being raised.</summary>
    public bool IsRaising => Required > Active;

    /// <summary>Returns a version that is not being raised.</summary>
    public static SchemaNumber At(int version) => new(version, version);

    /// <summary>
    /// Parses <c>2</c>, or <c>2>3</c> while the version is raised from 2 to 3. Null: the text has another form.
    /// </summary>
    public static SchemaNumber? Parse(string text)
    {
        var parts = text.Split('>');
        if (parts.Length > 2 || !TryRead(parts[0], out var active)) return null;
        if (parts.Length == 1) return At(active);
        return TryRead(parts[1], out var required) && required > active ? new SchemaNumber(active, required) : null;
    }

    /// <summary>Returns the text that <see cref="Parse"/> reads.</summary>
    public override string ToString() => IsRaising
        ? string.Create(CultureInfo.InvariantCulture, $"{Active}>{Required}")
        : Active.ToString(CultureInfo.InvariantCulture);

    private static bool TryRead(string text, out int version) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out version) && version > 0;
}
