using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Sluice.Core.Tests.Workers;

/// <summary>A server that answers every request with just these bytes, and then (unless told to end) says nothing more.</summary>
internal sealed class RawServer : IDisposable
{
    private readonly TcpListener listener = new(IPAddress.Loopback, 0);
    private readonly List<Socket> open = [];
    private readonly byte[] answer;

    public RawServer(string answer)
    {
        this.answer = Encoding.ASCII.GetBytes(answer);
        listener.Start();
        _ = ServeAsync();
    }

    public Uri Uri => new($"http://127.0.0.1:{((IPEndPoint)listener.LocalEndpoint).Port}");

    /// <summary>Requests that came.</summary>
    public int Asked { get; private set; }

    public void Dispose()
    {
        listener.Dispose();
        lock (open) open.ForEach(s => s.Dispose());
    }

    private async Task ServeAsync()
    {
        try
        {
            while (true)
            {
                var socket = await listener.AcceptSocketAsync();
                lock (open) open.Add(socket);
                _ = AnswerAsync(socket);
            }
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // The test is over.
        }
    }

    private async Task AnswerAsync(Socket socket)
    {
        var (buffer, seen) = (new byte[4096], "");
        while (!seen.EndsWith("\r\n\r\n", StringComparison.Ordinal))
        {
            var read = await socket.ReceiveAsync(buffer);
            if (read == 0) return;
            seen += Encoding.ASCII.GetString(buffer, 0, read);
        }

        Asked++;
        await socket.SendAsync(answer);
    }
}
