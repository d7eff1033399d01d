using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;

namespace Sluice.Testing;

/// <summary>A TCP proxy on loopback whose link can be broken in ways that a network breaks.</summary>
public sealed class FaultProxy : IDisposable
{
    private readonly TcpListener listener = new(IPAddress.Loopback, 0);
    private readonly ConcurrentDictionary<Socket, bool> open = [];
    private readonly int target;
    private volatile TaskCompletionSource upstream = Done();
    private volatile TaskCompletionSource downstream = Done();
    private volatile int accepted;

    public FaultProxy(int target)
    {
        this.target = target;
        listener.Start();
        _ = AcceptAsync();
    }

    public int Port => ((IPEndPoint)listener.LocalEndpoint).Port;

    /// <summary>Connections that clients have made so far.</summary>
    public int Accepted => accepted;

    /// <summary>From now on nothing passes in either direction, and nobody is told.</summary>
    public void BlackHole() => (upstream, downstream) = (New(), New());

    /// <summary>What clients send arrives; what is answered does not.</summary>
    public void LoseAnswers() => downstream = New();

    /// <summary>Lets everything pass again, what was held back included.</summary>
    public void Heal()
    {
        upstream.TrySetResult();
        downstream.TrySetResult();
    }

    /// <summary>Heals, but for the connections that were cut off: they are reset.</summary>
    public void HealWithReset()
    {
        foreach (var socket in open.Keys)
        {
            try
            {
                socket.LingerState = new LingerOption(true, 0);
            }
            catch (ObjectDisposedException)
            {
                // Its other end went meanwhile.
            }

            socket.Dispose();
        }

        Heal();
    }

    public void Dispose()
    {
        listener.Dispose();
        foreach (var socket in open.Keys) socket.Dispose();
    }

    private async Task AcceptAsync()
    {
        try
        {
            while (true)
            {
                var client = await listener.AcceptSocketAsync();
                accepted++;
                var server = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
                client.NoDelay = true;
                open[client] = open[server] = true;
                _ = PairAsync(client, server);
            }
        }
        catch (Exception e) when (e is ObjectDisposedException or SocketException)
        {
            // Disposed.
        }
    }

    private async Task PairAsync(Socket client, Socket server)
    {
        try
        {
            await server.ConnectAsync(IPAddress.Loopback, target);
            await Task.WhenAny(CopyAsync(client, server, () => upstream), CopyAsync(server, client, () => downstream));
        }
        catch (Exception e) when (e is ObjectDisposedException or SocketException)
        {
            // Either end went.
        }

        foreach (var socket in new[] { client, server })
        {
            open.TryRemove(socket, out _);
            socket.Dispose();
        }
    }

    private static async Task CopyAsync(Socket from, Socket to, Func<TaskCompletionSource> gate)
    {
        var buffer = new byte[64 << 10];
        while (await from.ReceiveAsync(buffer, SocketFlags.None) is var n and > 0)
        {
            await gate().Task;
            for (var sent = 0; sent < n;) sent += await to.SendAsync(buffer.AsMemory(sent, n - sent), SocketFlags.None);
        }
    }

    private static TaskCompletionSource New() => new(TaskCreationOptions.RunContinuationsAsynchronously);

    private static TaskCompletionSource Done()
    {
        var done = New();
        done.SetResult();
        return done;
    }
}
