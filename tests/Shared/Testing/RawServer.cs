using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Sluice.Testing;

/// <summary>
/// A server that answers each request with the next of the given texts (and repeats the last one), and sends nothing
/// else.
/// </summary>
public sealed class RawServer : IDisposable
{
    private readonly TcpListener listener = new(IPAddress.Loopback, 0);
    private readonly List<Socket> open = [];
    private readonly string[] answers;
    private readonly TaskCompletionSource left = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly List<string> paths = [];
    private int asked;

    public RawServer(params string[] answers)
    {
        this.answers = answers;
        listener.Start();
        _ = ServeAsync();
    }

    public Uri Uri => new($"http://127.0.0.1:{((IPEndPoint)listener.LocalEndpoint).Port}");

    /// <summary>Completes when a client has closed its connection.</summary>
    public Task Left => left.Task;

    /// <summary>Number of requests received.</summary>
    public int Asked => Volatile.Read(ref asked);

    /// <summary>Paths of the requests received, in order.</summary>
    public IReadOnlyList<string> Paths
    {
        get
        {
            lock (paths) return [.. paths];
        }
    }

    /// <summary>Sends another chunk to the client that connected last.</summary>
    public async Task SayAsync(string text)
    {
        Socket last;
        lock (open) last = open[^1];
        await last.SendAsync(Encoding.ASCII.GetBytes($"{text.Length:x}\r\n{text}\r\n"));
    }

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
        try
        {
            while (await socket.ReceiveAsync(buffer) is > 0 and var read)
            {
                seen += Encoding.ASCII.GetString(buffer, 0, read);
                if (!seen.EndsWith("\r\n\r\n", StringComparison.Ordinal)) continue;
                lock (paths) paths.Add(seen.Split(' ')[1]);
                seen = "";
                var next = Math.Min(Interlocked.Increment(ref asked), answers.Length) - 1;
                await socket.SendAsync(Encoding.ASCII.GetBytes(answers[next]));
            }
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // The client closed the connection, or the test is over.
        }

        left.TrySetResult();
    }
}
