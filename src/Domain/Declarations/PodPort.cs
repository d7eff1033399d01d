using System.Globalization;

namespace Sluice.Domain.Declarations;

/// <summary>A port of a pod that clients can reach.</summary>
/// <param name="Number">Number inside the container, 1 to 65535.</param>
/// <param name="IsHttp">Whether the gateway forwards HTTP requests to it; otherwise it is a TCP port.</param>
public readonly record struct PodPort(int Number, bool IsHttp)
{
    /// <summary>The expected form, for error messages.</summary>
    public const string Expected = "a port like 8888/http or 22/tcp";

    /// <summary>Parses <c>8888/http</c> or <c>22/tcp</c>.</summary>
    public static bool TryParse(string text, out PodPort port)
    {
        port = default;
        var slash = text.IndexOf('/', StringComparison.Ordinal);
        if (slash <= 0 || text[(slash + 1)..] is not (("http" or "tcp") and var kind)) return false;
        if (!int.TryParse(text[..slash], NumberStyles.None, CultureInfo.InvariantCulture, out var number)
            || number is < 1 or > ushort.MaxValue) return false;
        port = new PodPort(number, kind == "http");
        return true;
    }

    public override string ToString() => $"{Number.ToString(CultureInfo.InvariantCulture)}/{(IsHttp ? "http" : "tcp")}";
}
