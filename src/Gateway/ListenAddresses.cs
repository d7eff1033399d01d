using System.Net;
using System.Net.Sockets;

namespace Sluice.Gateway;

/// <summary>Looks before the start whether the gateway can listen where SLUICE_URLS says. Kestrel reports the same with stack traces, after Redis was started.</summary>
internal static class ListenAddresses
{
    /// <summary>Throws with the address and the cause if one of them cannot be listened on.</summary>
    public static void Check(string urls)
    {
        foreach (var url in urls.Split(';'))
        {
            var address = BindingAddress.Parse(url);
            if (address.IsUnixPipe || address.Port == 0) continue;
            try
            {
                using var socket = new Socket(Ip(address.Host).AddressFamily, SocketType.Stream, ProtocolType.Tcp);
                socket.Bind(new IPEndPoint(Ip(address.Host), address.Port));
                socket.Listen();
            }
            catch (SocketException e)
            {
                throw new InvalidOperationException($"SLUICE_URLS is '{urls}'; the gateway cannot listen on {url}: {Cause(e, address)}", e);
            }
        }
    }

    /// <summary>As Kestrel reads it: a name other than localhost means every address.</summary>
    private static IPAddress Ip(string host) => host == "localhost" ? IPAddress.Loopback
        : IPAddress.TryParse(host.Trim('[', ']'), out var ip) ? ip : IPAddress.Any;

    private static string Cause(SocketException e, BindingAddress address) => e.SocketErrorCode switch
    {
        SocketError.AddressAlreadyInUse => $"port {address.Port} is in use by another program (ss -ltnp names it); stop that program, or choose another port",
        SocketError.AddressNotAvailable => $"this machine has no address {address.Host} (ip address lists them)",
        SocketError.AccessDenied => $"no permission for port {address.Port}; choose one from 1024 on, or put a proxy in front",
        _ => e.Message,
    };
}
