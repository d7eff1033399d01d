using System.Net;
using System.Net.Sockets;

namespace Sluice.Gateway.Http;

/// <summary>
/// Restricts the targets of requests whose URLs come from clients: public addresses over https, and the networks that
/// the operator allows.
/// </summary>
/// <remarks>
/// A URL is checked when it is submitted. When it is used, the address of the actual connection is checked, because the
/// name may resolve differently by then.
/// </remarks>
/// <param name="allowed">The networks that the operator allows.</param>
/// <param name="resolve">Resolves a host name; null: DNS.</param>
public sealed class OutboundGuard(
    IReadOnlyList<IPNetwork> allowed,
    Func<string, CancellationToken, Task<IPAddress[]>>? resolve = null)
{
    /// <summary>
    /// Addresses that clients must not reach through the gateway: the special-purpose registries of IANA, including
    /// 6to4 and Teredo, which embed an IPv4 address.
    /// </summary>
    private static readonly IPNetwork[] Special =
    [
        .. new[]
        {
            "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
            "192.0.0.0/24", "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16",
            "192.175.48.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
            "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20",
        }.Select(IPNetwork.Parse),
    ];

    /// <summary>
    /// The global unicast range of IPv6. Other IPv6 addresses that embed an IPv4 address are outside of this range.
    /// </summary>
    private static readonly IPNetwork GlobalUnicast = IPNetwork.Parse("2000::/3");

    private static readonly string[] LocalNames =
        ["localhost", "local", "internal", "intranet", "lan", "home", "corp", "localdomain"];

    private readonly Func<string, CancellationToken, Task<IPAddress[]>> resolve =
        resolve ?? Dns.GetHostAddressesAsync;

    /// <summary>Returns why a URL is rejected, without a DNS query; null: it is accepted.</summary>
    public string? GetRejectionReason(string text)
    {
        if (text.Any(char.IsControl)
            || !Uri.TryCreate(text, UriKind.Absolute, out var uri)
            || uri.Scheme is not ("http" or "https"))
            return "it is not an absolute https URL";
        if (uri.UserInfo.Length > 0) return "it contains a user name or password";
        if (uri.HostNameType is UriHostNameType.IPv4 or UriHostNameType.IPv6)
            return GetRejectionReason(IPAddress.Parse(uri.Host.Trim('[', ']')), uri);
        if (uri.HostNameType != UriHostNameType.Dns) return "it has no valid host name or address";
        var name = uri.IdnHost.TrimEnd('.').ToLowerInvariant();
        // An operator that allows loopback addresses allows the name as well.
        if (name == "localhost" && Allows(IPAddress.Loopback)) return null;
        if (!name.Contains('.', StringComparison.Ordinal) || LocalNames.Contains(name.Split('.')[^1]))
            return $"its host '{name}' is a name of a private network";
        return uri.Scheme == "https" || allowed.Count > 0 ? null : "its scheme is http";
    }

    /// <summary>
    /// Returns why a URL is rejected, including the addresses that its name currently resolves to. A name that cannot
    /// be resolved in time is accepted, because it is checked again when it is used.
    /// </summary>
    public async Task<string?> GetRejectionReasonAsync(string text, TimeSpan patience, CancellationToken ct)
    {
        if (GetRejectionReason(text) is { } why) return why;
        var uri = new Uri(text);
        if (uri.HostNameType != UriHostNameType.Dns) return null;
        try
        {
            var addresses = await resolve(uri.IdnHost, ct).WaitAsync(patience, ct);
            return addresses.Select(a => GetRejectionReason(a, uri)).FirstOrDefault(w => w is not null);
        }
        catch (Exception e) when (e is SocketException or TimeoutException)
        {
            return null;
        }
    }

    /// <summary>Resolves the host name, checks all its addresses, and connects to one of them.</summary>
    public async ValueTask<Stream> ConnectAsync(SocketsHttpConnectionContext context, CancellationToken ct)
    {
        var uri = context.InitialRequestMessage.RequestUri!;
        var addresses = IPAddress.TryParse(context.DnsEndPoint.Host.Trim('[', ']'), out var literal)
            ? [literal] : await resolve(context.DnsEndPoint.Host, ct);
        if (addresses.Length == 0) throw new HttpRequestException("the host name resolves to no address");
        // Check all of them: a name with a private address among public ones is not trustworthy.
        if (addresses.Select(a => GetRejectionReason(a, uri)).FirstOrDefault(w => w is not null) is { } why)
            throw new ForbiddenTargetException(why);
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        try
        {
            await socket.ConnectAsync(addresses, context.DnsEndPoint.Port, ct);
            return new NetworkStream(socket, ownsSocket: true);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    private string? GetRejectionReason(IPAddress address, Uri uri)
    {
        if (address.IsIPv4MappedToIPv6) address = address.MapToIPv4();
        if (Allows(address)) return null;
        var isSpecial = Special.Any(n => n.Contains(address))
            || (address.AddressFamily == AddressFamily.InterNetworkV6 && !GlobalUnicast.Contains(address));
        if (isSpecial)
            return "its address is not public";
        return uri.Scheme == "https" ? null : "its scheme is http";
    }

    private bool Allows(IPAddress address) => allowed.Any(n => n.Contains(address));
}

/// <summary>Thrown when <see cref="OutboundGuard"/> rejects a target. No connection was opened.</summary>
public sealed class ForbiddenTargetException(string message) : IOException(message);
