using System.Globalization;

namespace Sluice.Domain.Notation;

/// <summary>Formats sizes of memory for messages.</summary>
internal static class Size
{
    /// <summary>Returns a size in GiB with at most one decimal if it is at least 1 GiB, otherwise in MiB.</summary>
    public static string Format(long mib) => mib >= 1024
        ? string.Create(CultureInfo.InvariantCulture, $"{mib / 1024.0:0.#}GiB")
        : string.Create(CultureInfo.InvariantCulture, $"{mib}MiB");
}
