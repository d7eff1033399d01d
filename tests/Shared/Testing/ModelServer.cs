using System.Collections.Concurrent;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;

namespace Sluice.Testing;

/// <summary>
/// An HTTP server with files, which answers ranges (RFC 9110, section 14) and cuts or holds its responses as a test
/// requests. Each connection has one request.
/// </summary>
public sealed class ModelServer : IDisposable
{
    private readonly TcpListener listener = new(IPAddress.Loopback, 0);
    private readonly ConcurrentDictionary<string, byte[]> files = [];
    private readonly ConcurrentQueue<ServedRequest> requests = [];
    private int cuts;

    public ModelServer()
    {
        listener.Start();
        _ = ServeAsync();
    }

    public Uri Uri => new($"http://127.0.0.1:{((IPEndPoint)listener.LocalEndpoint).Port}/");

    /// <summary>The requests received so far, in order.</summary>
    public IReadOnlyList<ServedRequest> Requests => [.. requests];

    /// <summary>Bytes of a response after which the connection is cut, as often as <see cref="Cuts"/> says.</summary>
    public int CutAfter { get; set; } = int.MaxValue;

    /// <summary>Number of responses that are still cut.</summary>
    public int Cuts
    {
        get => Volatile.Read(ref cuts);
        set => Volatile.Write(ref cuts, value);
    }

    /// <summary>Bytes after which a response waits for <see cref="Release"/>.</summary>
    public int HoldAfter { get; set; } = int.MaxValue;

    /// <summary>Ends the wait of held responses.</summary>
    public TaskCompletionSource Release { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Completes when the first response is held.</summary>
    public TaskCompletionSource Held { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Returns the status and the content of a request; null: the files are served.</summary>
    public Func<ServedRequest, (int Status, string Headers, byte[] Content)?> Override { get; set; } = _ => null;

    /// <summary>Whether <c>ETag</c> is sent.</summary>
    public bool SendsTags { get; set; } = true;

    /// <summary>Whether ranges are answered.</summary>
    public bool SupportsRanges { get; set; } = true;

    /// <summary>Adds or replaces a file.</summary>
    public void Add(string path, byte[] content) => files[path] = content;

    /// <summary>
    /// Adds a repository with the list of its files in the form of the Hugging Face Hub. Large files (from 1 KiB on)
    /// have the digest of Git LFS, small ones that of git.
    /// </summary>
    public void AddRepository(string id, string revision, string commit, params (string Name, byte[] Content)[] content)
    {
        var siblings = content.Select(f => f.Content.Length >= 1024
            ? $$"""{"rfilename":"{{f.Name}}","size":{{f.Content.Length}},"lfs":{"sha256":"{{Sha256(f.Content)}}"} }"""
            : $$"""{"rfilename":"{{f.Name}}","size":{{f.Content.Length}},"blobId":"{{GitBlob(f.Content)}}"}""");
        Add($"/api/models/{id}/revision/{revision}",
            Encoding.UTF8.GetBytes($$"""{"sha":"{{commit}}","siblings":[{{string.Join(',', siblings)}}]}"""));
        foreach (var (name, bytes) in content) Add($"/{id}/resolve/{commit}/{name}", bytes);
    }

    public static string Sha256(byte[] content) => Convert.ToHexStringLower(SHA256.HashData(content));

    /// <summary>Content that does not compress and is the same for each size.</summary>
    public static byte[] Content(int size)
    {
        var bytes = new byte[size];
        new Random(size).NextBytes(bytes);
        return bytes;
    }

    public void Dispose()
    {
        Release.TrySetResult();
        listener.Dispose();
    }

#pragma warning disable CA5350 // Git identifies objects by SHA-1.
    private static string GitBlob(byte[] content) => Convert.ToHexStringLower(SHA1.HashData(
        [.. Encoding.ASCII.GetBytes($"blob {content.Length}\0"), .. content]));
#pragma warning restore CA5350

    private async Task ServeAsync()
    {
        try
        {
            while (true) _ = AnswerAsync(await listener.AcceptSocketAsync());
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // The test is over.
        }
    }

    private async Task AnswerAsync(Socket socket)
    {
        using var _ = socket;
        try
        {
            if (await ReadAsync(socket) is not { } request) return;
            requests.Enqueue(request);
            if (Override(request) is { } other)
                await SendAsync(socket, other.Status, other.Headers, other.Content, other.Content.Length);
            else if (files.TryGetValue(request.Path, out var content)) await SendFileAsync(socket, request, content);
            else await SendAsync(socket, 404, "", default, 0);
            socket.Shutdown(SocketShutdown.Send);
            // Without it, a reset can destroy bytes that the client has not read.
            await socket.ReceiveAsync(new byte[1]);
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // The client closed the connection, or the test is over.
        }
    }

    private static async Task<ServedRequest?> ReadAsync(Socket socket)
    {
        var (buffer, seen) = (new byte[8192], "");
        while (!seen.Contains("\r\n\r\n", StringComparison.Ordinal))
        {
            if (await socket.ReceiveAsync(buffer) is not (> 0 and var read)) return null;
            seen += Encoding.Latin1.GetString(buffer, 0, read);
        }

        var lines = seen.Split("\r\n");
        var target = lines[0].Split(' ');
        var headers = lines.Skip(1).TakeWhile(l => l.Length > 0).Select(l => l.Split(':', 2))
            .ToDictionary(h => h[0], h => h[1].Trim(), StringComparer.OrdinalIgnoreCase);
        var parts = target[1].Split('?', 2);
        return new ServedRequest(target[0], Uri.UnescapeDataString(parts[0]), parts is [_, var query] ? query : "",
            target[1], headers);
    }

    private async Task SendFileAsync(Socket socket, ServedRequest request, byte[] content)
    {
        var tag = $"\"{Sha256(content)[..16]}\"";
        var headers = SendsTags ? $"ETag: {tag}\r\n" : "";
        var range = request.Headers.GetValueOrDefault("Range");
        var applies = SupportsRanges && range is not null
            && (!request.Headers.TryGetValue("If-Range", out var condition) || condition == tag);
        if (!applies)
        {
            await SendAsync(socket, 200, headers, content, content.Length);
            return;
        }

        var from = int.Parse(range!["bytes=".Length..].TrimEnd('-'), CultureInfo.InvariantCulture);
        if (from >= content.Length)
            await SendAsync(socket, 416, $"Content-Range: bytes */{content.Length}\r\n", default, 0);
        else
            await SendAsync(socket, 206,
                $"{headers}Content-Range: bytes {from}-{content.Length - 1}/{content.Length}\r\n",
                content.AsMemory(from), content.Length - from);
    }

    private async Task SendAsync(Socket socket, int status, string headers, ReadOnlyMemory<byte> content, int length)
    {
        var head = $"HTTP/1.1 {status} X\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n";
        await socket.SendAsync(Encoding.ASCII.GetBytes(head));
        if (content.Length > HoldAfter)
        {
            await socket.SendAsync(content[..HoldAfter]);
            content = content[HoldAfter..];
            Held.TrySetResult();
            await Release.Task;
        }

        if (content.Length > CutAfter && Interlocked.Decrement(ref cuts) >= 0) content = content[..CutAfter];
        while (content.Length > 0) content = content[await socket.SendAsync(content)..];
    }
}

/// <summary>A request that a <see cref="ModelServer"/> received.</summary>
/// <param name="Method">The method.</param>
/// <param name="Path">The decoded path.</param>
/// <param name="Query">The query as it was sent, without <c>?</c>.</param>
/// <param name="Target">Path and query as they were sent.</param>
/// <param name="Headers">The headers.</param>
public sealed record ServedRequest(
    string Method, string Path, string Query, string Target, IReadOnlyDictionary<string, string> Headers);
