using System.Net;
using System.Net.Sockets;

namespace Sluice.Testing;

/// <summary>Finds a loopback port that is free now.</summary>
public static class FreePort
{
    public static int Find()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }
}
