using System.Net;
using System.Net.Sockets;

namespace Sluice.Hosting.Processes;

/// <summary>Assigns ports of an address, each to one process.</summary>
internal sealed class FreePorts(IPAddress address)
{
    private readonly HashSet<int> assigned = [];

    /// <summary>Returns a port that is free now and is not assigned.</summary>
    public int Allocate()
    {
        lock (assigned)
        {
            while (true)
            {
                using var listener = new TcpListener(address, 0);
                listener.Start();
                var port = ((IPEndPoint)listener.LocalEndpoint).Port;
                if (assigned.Add(port)) return port;
            }
        }
    }

    /// <summary>Returns a port.</summary>
    public void Free(int port)
    {
        lock (assigned) assigned.Remove(port);
    }
}
