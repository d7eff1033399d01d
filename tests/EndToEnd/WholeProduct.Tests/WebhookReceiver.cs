using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using Sluice.Testing;

namespace Sluice.WholeProduct.Tests;

/// <summary>A received delivery.</summary>
internal sealed record Received(string Path, string Id, string Timestamp, string Signature, string Body)
{
    /// <summary>The header <c>traceparent</c>; empty: there is none.</summary>
    public string TraceParent { get; init; } = "";
}

/// <summary>
/// A webhook receiver. The path of a request selects the response, and received deliveries are recorded.
/// </summary>
internal sealed class WebhookReceiver : IDisposable
{
    private readonly HttpListener listener = new();

    // Bound and not listening: connections are refused, and no other test gets the port before the receiver listens.
    private readonly Socket reserved = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
    private readonly ConcurrentDictionary<string, System.Threading.Channels.Channel<Received>> got = [];
    private readonly ConcurrentDictionary<string, int> counts = [];

    /// <param name="listens">Whether the receiver listens immediately. Otherwise it listens after <see cref="Listen"/>
    /// is called.</param>
    public WebhookReceiver(bool listens = true)
    {
        reserved.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        Url = $"http://127.0.0.1:{((IPEndPoint)reserved.LocalEndPoint!).Port}";
        listener.Prefixes.Add(Url + "/");
        if (listens) Listen();
    }

    public string Url { get; }

    /// <summary>The status of the responses to "/configured". With 429, Retry-After is ten hours.</summary>
    public int Status { get; set; } = 200;

    /// <summary>Number of bytes written by endless responses.</summary>
    public long Poured { get; private set; }

    public void Listen()
    {
        reserved.Dispose();
        listener.Start();
        _ = ServeAsync();
    }

    public int Count(string path) => counts.GetValueOrDefault(path);

    public async Task<Received> NextAsync(string path)
    {
        using var limit = new CancellationTokenSource(ChildProcess.Patience, TimeProvider.System);
        return await Of(path).Reader.ReadAsync(limit.Token);
    }

    public void Dispose()
    {
        reserved.Dispose();
        listener.Abort();
    }

    private System.Threading.Channels.Channel<Received> Of(string path) =>
        got.GetOrAdd(path, _ => System.Threading.Channels.Channel.CreateUnbounded<Received>());

    private async Task ServeAsync()
    {
        try
        {
            while (true) _ = AnswerAsync(await listener.GetContextAsync());
        }
        catch (Exception e) when (e is HttpListenerException or ObjectDisposedException)
        {
            // The receiver was disposed.
        }
    }

    private async Task AnswerAsync(HttpListenerContext context)
    {
        var path = context.Request.Url!.AbsolutePath;
        using var reader = new StreamReader(context.Request.InputStream);
        var body = await reader.ReadToEndAsync();
        var count = counts.AddOrUpdate(path, 1, (_, n) => n + 1);
        string Header(string name) => context.Request.Headers[name] ?? "";
        Of(path).Writer.TryWrite(new Received(path, Header("webhook-id"), Header("webhook-timestamp"),
            Header("webhook-signature"), body) { TraceParent = Header("traceparent") });
        if (path == "/silent") return;
        if (path is "/drip" or "/flood")
        {
            await PourAsync(context.Response, drip: path == "/drip");
            return;
        }

        context.Response.StatusCode = path switch { "/fails-once" when count == 1 => 500, "/redirect" => 307,
            "/gone" => 410, "/configured" => Status, _ => 200 };
        if (context.Response.StatusCode == 429) context.Response.Headers["Retry-After"] = "36000";
        if (path == "/redirect") context.Response.Headers["Location"] = "/elsewhere";
        context.Response.Close();
    }

    /// <summary>
    /// Writes one byte per 100 ms without end, or 1 GiB without a pause, until the client disconnects.
    /// </summary>
    private async Task PourAsync(HttpListenerResponse response, bool drip)
    {
        var bytes = new byte[drip ? 1 : 1 << 20];
        try
        {
            for (var n = 0; drip || n < 1024; n++)
            {
                await response.OutputStream.WriteAsync(bytes);
                await response.OutputStream.FlushAsync();
                Poured += bytes.Length;
                if (drip) await Task.Delay(TimeSpan.FromMilliseconds(100), TimeProvider.System);
            }
        }
        catch (Exception e) when (e is HttpListenerException or IOException or ObjectDisposedException)
        {
            // The client disconnected.
        }
    }
}
