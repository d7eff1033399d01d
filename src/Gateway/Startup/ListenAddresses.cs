using System.Net;
using System.Net.Sockets;

namespace Sluice.Gateway.Startup;

/// <summary>
/// Checks at startup whether the gateway can listen on the addresses in SLUICE_URLS. Kestrel would report a failure
/// with stack traces, and only after Redis has started.
/// </summary>
internal static class ListenAddresses
{
    /// <summary>Binds a socket to each address and closes it.</summary>
    /// <param name="urls">Addresses, separated by <c>;</c>.</param>
    /// <exception cref="InvalidOperationException">An address cannot be bound. The message contains the address and the
    /// cause.</exception>
    public static void Check(string urls)
    {
        foreach (var url in urls.Split(';'))
        {
            var address = BindingAddress.Parse(url);
            if (address.IsUnixPipe || address.Port == 0) continue;
            try
            {
                using var socket = new Socket(ParseHost(address.Host).AddressFamily, SocketType.Stream,
                    ProtocolType.Tcp);
                socket.Bind(new IPEndPoint(ParseHost(address.Host), address.Port));
                socket.Listen();
            }
            catch (SocketException e)
            {
                throw new InvalidOperationException($"SLUICE_URLS is '{urls}'; the gateway cannot listen on {url}: "
                    + $"{DescribeCause(e, address)}.", e);
            }
        }
    }

    /// <summary>Parses a host as Kestrel does: a host name other than localhost means all addresses.</summary>
    private static IPAddress ParseHost(string host) => host == "localhost" ? IPAddress.Loopback
        : IPAddress.TryParse(host.Trim('[', ']'), out var ip) ? ip : IPAddress.Any;

    private static string DescribeCause(SocketException e, BindingAddress address) => e.SocketErrorCode switch
    {
        SocketError.AddressAlreadyInUse => $"another program uses port {address.Port} (ss -ltnp shows it); stop that "
            + "program, or choose another port",
        SocketError.AddressNotAvailable => $"this machine does not have the address {address.Host} (ip address lists "
            + "its addresses)",
        SocketError.AccessDenied => $"the process has no permission for port {address.Port}; choose a port from 1024 "
            + "on, or use a reverse proxy",
        _ => e.Message,
    };
}
