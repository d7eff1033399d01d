using System.Net;
using System.Net.Sockets;

namespace Sluice.Core.Jobs.Webhooks;

/// <summary>
/// Where this gateway may send requests that a client named: public addresses over https, and what the operator allows beside that.
/// Checked when the URL is given and, on the address that is really connected to, when it is used: names can change in between.
/// </summary>
public sealed class OutboundGuard(IReadOnlyList<IPNetwork> allowed, Func<string, CancellationToken, Task<IPAddress[]>>? resolve = null)
{
    /// <summary>Addresses that no stranger may reach through us: IANA's special-purpose registries, 6to4 and Teredo,
    /// which embed an IPv4 address, included.</summary>
    private static readonly IPNetwork[] Special =
    [
        .. new[]
        {
            "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24",
            "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16", "192.175.48.0/24", "198.18.0.0/15", "198.51.100.0/24",
            "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
            "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20",
        }.Select(IPNetwork.Parse),
    ];

    /// <summary>All of IPv6 that is given out for the public. What else embeds an IPv4 address lies outside of it.</summary>
    private static readonly IPNetwork GlobalUnicast = IPNetwork.Parse("2000::/3");

    private static readonly string[] LocalNames = ["localhost", "local", "internal", "intranet", "lan", "home", "corp", "localdomain"];

    private readonly Func<string, CancellationToken, Task<IPAddress[]>> resolve = resolve ?? Dns.GetHostAddressesAsync;

    /// <summary>Why a URL is not accepted; null: it is. What can be told without asking anybody.</summary>
    public string? WhyNot(string text)
    {
        if (text.Any(char.IsControl) || !Uri.TryCreate(text, UriKind.Absolute, out var uri) || uri.Scheme is not ("http" or "https"))
            return "expected an absolute https URL";
        if (uri.UserInfo.Length > 0) return "a URL must not carry a user name or password";
        if (uri.HostNameType is UriHostNameType.IPv4 or UriHostNameType.IPv6)
            return WhyNot(IPAddress.Parse(uri.Host.Trim('[', ']')), uri);
        if (uri.HostNameType != UriHostNameType.Dns) return "expected a host name or address";
        var name = uri.IdnHost.TrimEnd('.').ToLowerInvariant();
        // A loopback that the operator allows may be named, too.
        if (name == "localhost" && Allows(IPAddress.Loopback)) return null;
        if (!name.Contains('.', StringComparison.Ordinal) || LocalNames.Contains(name.Split('.')[^1])) return $"'{name}' is a name of a private network";
        return uri.Scheme == "https" || allowed.Count > 0 ? null : "expected https";
    }

    /// <summary>The same, and for a name also what it stands for now. A name that cannot be resolved in time is accepted: it is
    /// checked again when it is used.</summary>
    public async Task<string?> WhyNotAsync(string text, TimeSpan patience, CancellationToken ct)
    {
        if (WhyNot(text) is { } why) return why;
        var uri = new Uri(text);
        if (uri.HostNameType != UriHostNameType.Dns) return null;
        try
        {
            var addresses = await resolve(uri.IdnHost, ct).WaitAsync(patience, ct);
            return addresses.Select(a => WhyNot(a, uri)).FirstOrDefault(w => w is not null);
        }
        catch (Exception e) when (e is SocketException or TimeoutException)
        {
            return null;
        }
    }

    /// <summary>Connects to an address that was checked: the one that the name stands for at this moment.</summary>
    public async ValueTask<Stream> ConnectAsync(SocketsHttpConnectionContext context, CancellationToken ct)
    {
        var uri = context.InitialRequestMessage.RequestUri!;
        var addresses = IPAddress.TryParse(context.DnsEndPoint.Host.Trim('[', ']'), out var literal)
            ? [literal] : await resolve(context.DnsEndPoint.Host, ct);
        if (addresses.Length == 0) throw new HttpRequestException("the name stands for no address");
        // All of them: a name with a private address among public ones is not to be trusted.
        if (addresses.Select(a => WhyNot(a, uri)).FirstOrDefault(w => w is not null) is { } why) throw new ForbiddenTargetException(why);
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

    private string? WhyNot(IPAddress address, Uri uri)
    {
        if (address.IsIPv4MappedToIPv6) address = address.MapToIPv4();
        if (Allows(address)) return null;
        if (Special.Any(n => n.Contains(address)) || (address.AddressFamily == AddressFamily.InterNetworkV6 && !GlobalUnicast.Contains(address)))
            return "the target is not a public address";
        return uri.Scheme == "https" ? null : "expected https";
    }

    private bool Allows(IPAddress address) => allowed.Any(n => n.Contains(address));
}

/// <summary>A target that <see cref="OutboundGuard"/> refused; no connection was made.</summary>
public sealed class ForbiddenTargetException(string message) : IOException(message);
