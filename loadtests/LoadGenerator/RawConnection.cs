using System.Buffers.Text;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Sluice.LoadGenerator;

/// <summary>What is asked of a server, again and again, over HTTP/1.1.</summary>
/// <param name="Address">Where it listens.</param>
/// <param name="Request">The whole request, as bytes.</param>
public sealed record Target(IPEndPoint Address, byte[] Request)
{
    public static Target Post(Uri url, string body, string? bearer = null) => new(new IPEndPoint(IPAddress.Loopback, url.Port),
        Encoding.ASCII.GetBytes($"POST {url.PathAndQuery} HTTP/1.1\r\nHost: {url.Authority}\r\nContent-Type: application/json\r\n"
            + (bearer is null ? "" : $"Authorization: Bearer {bearer}\r\n")
            + $"Content-Length: {body.Length}\r\n\r\n{body}"));

    public static Target Get(Uri url, string? bearer = null) => new(new IPEndPoint(IPAddress.Loopback, url.Port),
        Encoding.ASCII.GetBytes($"GET {url.PathAndQuery} HTTP/1.1\r\nHost: {url.Authority}\r\n"
            + (bearer is null ? "" : $"Authorization: Bearer {bearer}\r\n") + "\r\n"));
}

/// <summary>
/// One connection that sends a fixed request and reads the answer to its end. It does no more than that, so that the
/// two cores which a server shares with its load are left to the server.
/// </summary>
public sealed class RawConnection(Target target) : IDisposable
{
    private readonly byte[] buffer = new byte[64 << 10];
    private Socket? socket;
    private int filled;

    /// <summary>Called at the first byte of a body, for streams.</summary>
    public Action? FirstByte { get; set; }

    /// <summary>
    /// Sends the request; the answer's status. A broken connection throws, and the next call makes a new one.
    /// </summary>
    public async ValueTask<int> AskAsync(CancellationToken ct)
    {
        try
        {
            var open = socket ??= await ConnectAsync(ct);
            await open.SendAsync(target.Request, ct);
            return await ReadAsync(open, ct);
        }
        catch
        {
            socket?.Dispose();
            socket = null;
            throw;
        }
    }

    public void Dispose() => socket?.Dispose();

    private async Task<Socket> ConnectAsync(CancellationToken ct)
    {
        filled = 0;
        var made = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        await made.ConnectAsync(target.Address, ct);
        return made;
    }

    private async ValueTask<int> ReadAsync(Socket open, CancellationToken ct)
    {
        int head;
        while ((head = buffer.AsSpan(0, filled).IndexOf("\r\n\r\n"u8)) < 0) await FillAsync(open, ct);
        var (status, length) = ReadHead(buffer.AsSpan(0, head + 2));
        Drop(head + 4);
        if (length >= 0) await SkipAsync(open, length, ct);
        else await SkipChunksAsync(open, ct);
        return status;
    }

    private static (int Status, long Length) ReadHead(ReadOnlySpan<byte> head)
    {
        if (!Utf8Parser.TryParse(head[9..], out int status, out _)) throw new InvalidDataException("an answer without status");
        foreach (var range in head.Split("\r\n"u8))
        {
            var line = head[range];
            if (!Ascii.EqualsIgnoreCase(line[..Math.Min(line.Length, 15)], "content-length:"u8)) continue;
            return Utf8Parser.TryParse(line[15..].TrimStart((byte)' '), out long length, out _) ? (status, length)
                : throw new InvalidDataException("a length that is no number");
        }

        return (status, status is 204 or 304 ? 0 : -1);
    }

    private async ValueTask SkipAsync(Socket open, long length, CancellationToken ct)
    {
        var announced = false;
        while (length > 0)
        {
            if (filled == 0) await FillAsync(open, ct);
            if (!announced) FirstByte?.Invoke();
            announced = true;
            var n = (int)Math.Min(length, filled);
            Drop(n);
            length -= n;
        }
    }

    private async ValueTask SkipChunksAsync(Socket open, CancellationToken ct)
    {
        for (var first = true; ; first = false)
        {
            int end;
            while ((end = buffer.AsSpan(0, filled).IndexOf("\r\n"u8)) < 0) await FillAsync(open, ct);
            if (!Utf8Parser.TryParse(buffer.AsSpan(0, end), out int size, out _, 'x')) throw new InvalidDataException("a chunk without size");
            Drop(end + 2);
            if (first && size > 0) FirstByte?.Invoke();
            for (var left = size + 2; left > 0;)
            {
                if (filled == 0) await FillAsync(open, ct);
                var n = Math.Min(left, filled);
                Drop(n);
                left -= n;
            }

            if (size == 0) return;
        }
    }

    private async ValueTask FillAsync(Socket open, CancellationToken ct)
    {
        var n = await open.ReceiveAsync(buffer.AsMemory(filled), ct);
        if (n == 0) throw new IOException("the server closed the connection");
        filled += n;
    }

    private void Drop(int n)
    {
        buffer.AsSpan(n, filled - n).CopyTo(buffer);
        filled -= n;
    }
}
