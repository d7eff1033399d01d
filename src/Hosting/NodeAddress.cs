using System.Net;
using System.Net.Sockets;

namespace Sluice.Hosting;

/// <summary>Reads the address at which other gateways reach the workers of this machine.</summary>
public static class NodeAddress
{
    /// <summary>The name of the setting.</summary>
    public const string Setting = "SLUICE_NODE_ADDRESS";

    /// <summary>Reads the address. Null: the workers are reached on this machine only.</summary>
    /// <param name="env">Returns the value of a variable, or null if it is not set.</param>
    /// <exception cref="InvalidOperationException">
    /// The value is invalid. The message contains name, value and rule.
    /// </exception>
    public static IPAddress? Read(Func<string, string?> env)
    {
        if (env(Setting) is not { Length: > 0 } text) return null;
        if (IPAddress.TryParse(text, out var address) && IsComplete(text, address)
            && !address.Equals(IPAddress.Any) && !address.Equals(IPAddress.IPv6Any)
            && !address.Equals(IPAddress.Broadcast)) return address;
        throw new InvalidOperationException(
            $"{Setting} is '{text}'; expected an IP address of this machine that other gateways reach, like 10.0.0.5.");
    }

    /// <summary>
    /// Whether a text is the whole address. The parser accepts "10.5" for 10.0.0.5, and brackets and a port around an
    /// IPv6 address.
    /// </summary>
    private static bool IsComplete(string text, IPAddress address) =>
        address.AddressFamily == AddressFamily.InterNetworkV6
            ? !text.Contains('[', StringComparison.Ordinal) : text == address.ToString();

    /// <summary>Returns the URL of a port at an address.</summary>
    public static Uri UriOf(IPAddress address, int port) =>
        new UriBuilder(Uri.UriSchemeHttp, address.ToString(), port).Uri;
}
