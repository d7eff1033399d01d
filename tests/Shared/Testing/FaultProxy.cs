using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Threading.Channels;

namespace Sluice.Testing;

/// <summary>A TCP proxy on loopback that injects network faults into its link.</summary>
public sealed class FaultProxy : IDisposable
{
    private readonly TcpListener listener = new(IPAddress.Loopback, 0);
    private readonly ConcurrentDictionary<Socket, bool> open = [];
    private readonly int target;
    private readonly TimeSpan delay;
    private volatile TaskCompletionSource upstream = Done();
    private volatile TaskCompletionSource downstream = Done();
    private volatile int accepted;

    /// <param name="target">The target port on loopback.</param>
    /// <param name="delay">
    /// Additional latency in each direction, plus a timer's millisecond. The order is kept, and bandwidth is not
    /// limited: a longer path, not a narrower one.
    /// </param>
    public FaultProxy(int target, TimeSpan delay = default)
    {
        (this.target, this.delay) = (target, delay);
        listener.Start();
        _ = AcceptAsync();
    }

    public int Port => ((IPEndPoint)listener.LocalEndpoint).Port;

    /// <summary>Number of connections that clients have opened so far.</summary>
    public int Accepted => accepted;

    /// <summary>Drops everything in both directions, without a notification to either side.</summary>
    public void BlackHole() => (upstream, downstream) = (New(), New());

    /// <summary>Forwards the clients' data, and drops the responses.</summary>
    public void LoseAnswers() => downstream = New();

    /// <summary>Forwards everything again, including data that was held back.</summary>
    public void Heal()
    {
        upstream.TrySetResult();
        downstream.TrySetResult();
    }

    /// <summary>Heals the link, except for the interrupted connections, which are reset.</summary>
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
                // The other side closed the connection.
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
            // The proxy was disposed.
        }
    }

    private async Task PairAsync(Socket client, Socket server)
    {
        try
        {
            await server.ConnectAsync(IPAddress.Loopback, target);
            await Task.WhenAny(PassAsync(client, server, () => upstream), PassAsync(server, client, () => downstream));
        }
        catch (Exception e) when (e is ObjectDisposedException or SocketException)
        {
            // Either side closed the connection.
        }

        foreach (var socket in new[] { client, server })
        {
            open.TryRemove(socket, out _);
            socket.Dispose();
        }
    }

    private Task PassAsync(Socket from, Socket to, Func<TaskCompletionSource> gate) =>
        delay > TimeSpan.Zero ? CopyLaterAsync(from, to, gate) : CopyAsync(from, to, gate);

    private async Task CopyLaterAsync(Socket from, Socket to, Func<TaskCompletionSource> gate)
    {
        var passing = Channel.CreateUnbounded<(byte[] Bytes, long At)>();
        var sending = SendAsync();
        var buffer = new byte[64 << 10];
        while (await from.ReceiveAsync(buffer, SocketFlags.None) is var n and > 0)
            passing.Writer.TryWrite((buffer[..n], Stopwatch.GetTimestamp()));
        passing.Writer.Complete();
        await sending;

        async Task SendAsync()
        {
            await foreach (var (bytes, at) in passing.Reader.ReadAllAsync())
            {
                var left = delay - Stopwatch.GetElapsedTime(at);
                if (left > TimeSpan.Zero) await Task.Delay(left, TimeProvider.System, CancellationToken.None);
                await gate().Task;
                for (var sent = 0; sent < bytes.Length;)
                    sent += await to.SendAsync(bytes.AsMemory(sent), SocketFlags.None);
            }
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
