using System.Buffers.Text;
using System.Diagnostics;
using System.Net.Sockets;
using HdrHistogram;
using Sluice.LoadGenerator;

namespace Sluice.Scenarios;

/// <summary>
/// Many concurrent streams of the worker <c>TokenClock</c>. It records how long each token was on its way, and does no
/// more with the streams, so that the cores are left to what is measured.
/// </summary>
internal sealed class StreamSwarm : IDisposable
{
    private readonly List<Task> readers = [];
    private readonly List<Socket> sockets = [];
    private readonly LongHistogram delays = Latencies.Create();
    private readonly Lock gate = new();
    private long tokens;
    private int begun, failed;
    private volatile bool records;

    /// <summary>Number of tokens that all streams have received.</summary>
    public long Tokens => Interlocked.Read(ref tokens);

    /// <summary>Number of streams that ended before their last token, or got no stream.</summary>
    public int Failed => failed;

    /// <summary>Times of tokens from the worker to the client, since <see cref="Record"/>.</summary>
    public LongHistogram Delays => delays;

    /// <summary>Opens streams, and waits until each one has its first token.</summary>
    /// <param name="target">The request.</param>
    /// <param name="count">Number of streams.</param>
    /// <param name="spread">Time over which they are opened, so that their tokens do not come together.</param>
    /// <param name="ct">Ends the streams.</param>
    public async Task OpenAsync(Target target, int count, TimeSpan spread, CancellationToken ct)
    {
        var began = Stopwatch.GetTimestamp();
        for (var i = 0; i < count; i++)
        {
            var wait = (spread * i / count) - Stopwatch.GetElapsedTime(began);
            if (wait > TimeSpan.Zero) await Task.Delay(wait, TimeProvider.System, ct);
            var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
            sockets.Add(socket);
            readers.Add(ReadAsync(socket, target, ct));
        }

        while (Volatile.Read(ref begun) + Volatile.Read(ref failed) < count)
            await Task.Delay(TimeSpan.FromMilliseconds(10), TimeProvider.System, ct);
    }

    /// <summary>Starts to record the times of tokens.</summary>
    public void Record() => records = true;

    /// <summary>Waits for the end of all streams.</summary>
    public Task EndAsync()
    {
        records = false;
        return Task.WhenAll(readers);
    }

    public void Dispose()
    {
        foreach (var socket in sockets) socket.Dispose();
    }

    private async Task ReadAsync(Socket socket, Target target, CancellationToken ct)
    {
        var (buffer, filled, isBegun, isDone) = (new byte[4096], 0, false, false);
        try
        {
            await socket.ConnectAsync(target.Address, ct);
            await socket.SendAsync(target.Request, ct);
            while (!isDone)
            {
                var read = await socket.ReceiveAsync(buffer.AsMemory(filled), ct);
                if (read == 0) break;
                filled += read;
                var (found, used, ends) = Scan(buffer.AsSpan(0, filled));
                if (found > 0 && !isBegun) Interlocked.Increment(ref begun);
                isBegun |= found > 0;
                isDone = ends;
                buffer.AsSpan(used, filled - used).CopyTo(buffer);
                filled -= used;
            }
        }
        catch (Exception e) when (e is SocketException or OperationCanceledException or ObjectDisposedException)
        {
            // It is not done.
        }

        if (!isDone) Interlocked.Increment(ref failed);
    }

    /// <summary>Returns the number of tokens, the bytes that were used, and whether the stream is complete.</summary>
    private (int Tokens, int Used, bool Ends) Scan(ReadOnlySpan<byte> bytes)
    {
        var (found, used) = (0, 0);
        while (bytes[used..].IndexOf("\"content\":\""u8) is var at and >= 0)
        {
            var start = used + at + "\"content\":\"".Length;
            var end = bytes[start..].IndexOf((byte)'"');
            if (end < 0) return (found, used, false);
            if (Utf8Parser.TryParse(bytes.Slice(start, end), out long sent, out _) && records)
                lock (gate) delays.Record(Stopwatch.GetElapsedTime(sent));
            Interlocked.Increment(ref tokens);
            found++;
            used = start + end;
        }

        var done = bytes[used..].IndexOf("data: [DONE]"u8) >= 0;
        // What remains may contain the beginning of a name.
        if (found == 0 && bytes.Length > 2048) used = bytes.Length - 64;
        return (found, used, done);
    }
}
