using System.Net;
using System.Text;
using Sluice.Domain.Declarations;

namespace Sluice.Gateway.Forwarding;

/// <summary>Holds the two HTTP clients that all requests to workers share: cleartext HTTP/2 and HTTP/1.1.</summary>
public sealed class WorkerClients : IDisposable
{
    private readonly HttpMessageInvoker h2c = new(new EarlyResponseHandler(Handler()));
    private readonly HttpMessageInvoker http1 = new(Handler());

    /// <summary>Returns the client for a protocol.</summary>
    public HttpMessageInvoker For(WorkerProtocol protocol) => protocol == WorkerProtocol.H2c ? h2c : http1;

    /// <summary>
    /// Returns the exact HTTP version for requests to a worker. If a worker does not support it, its declaration is
    /// wrong.
    /// </summary>
    public static Version VersionOf(WorkerProtocol protocol) =>
        protocol == WorkerProtocol.H2c ? HttpVersion.Version20 : HttpVersion.Version11;

    public void Dispose()
    {
        h2c.Dispose();
        http1.Dispose();
    }

    private static SocketsHttpHandler Handler() => new()
    {
        UseProxy = false,
        UseCookies = false,
        AllowAutoRedirect = false,
        AutomaticDecompression = DecompressionMethods.None,
        // Header values are bytes (RFC 9110, section 5.5). Both sides read and write them as Latin-1, which preserves
        // each byte.
        RequestHeaderEncodingSelector = (_, _) => Encoding.Latin1,
        // In KiB. The value is intentionally higher than AnswerRules.MaxHeaderBytes, which rejects only one response.
        // Over HTTP/2, this limit closes the connection.
#pragma warning disable CA2262
        MaxResponseHeadersLength = 1024,
#pragma warning restore CA2262
        EnableMultipleHttp2Connections = true,
        // The trace headers of the gateway's client are forwarded unchanged.
        ActivityHeadersPropagator = null,
        ConnectTimeout = TimeSpan.FromSeconds(5),
        // A worker that disappeared without closing its connection is detected while a request waits for it, in at most
        // 25 s.
        KeepAlivePingDelay = TimeSpan.FromSeconds(15),
        KeepAlivePingTimeout = TimeSpan.FromSeconds(10),
        KeepAlivePingPolicy = HttpKeepAlivePingPolicy.WithActiveRequests,
        // Tensors are large: with the default of 64 KiB, a stream would wait for a window update every few packets.
        InitialHttp2StreamWindowSize = 1 << 20,
    };
}
