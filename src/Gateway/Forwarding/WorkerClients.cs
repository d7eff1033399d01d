using System.Net;
using System.Text;
using Sluice.Core.Endpoints;

namespace Sluice.Gateway.Forwarding;

/// <summary>The two HTTP clients that all requests to workers share: HTTP/2 cleartext and HTTP/1.1.</summary>
public sealed class WorkerClients : IDisposable
{
    private readonly HttpMessageInvoker h2c = new(new EarlyAnswers(Handler()));
    private readonly HttpMessageInvoker http1 = new(Handler());

    public HttpMessageInvoker For(WorkerProtocol protocol) => protocol == WorkerProtocol.H2c ? h2c : http1;

    /// <summary>The version a worker is spoken to in, exactly: a worker that cannot is misdeclared.</summary>
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
        // Header values are bytes (RFC 9110, section 5.5). Both sides read and write them as Latin-1, which keeps each byte as it is.
        RequestHeaderEncodingSelector = (_, _) => Encoding.Latin1,
#pragma warning disable CA2262 // In KiB, as meant: higher than AnswerRules.MaxHeaderBytes, which refuses one answer. Over HTTP/2 this limit ends the connection.
        MaxResponseHeadersLength = 1024,
#pragma warning restore CA2262
        EnableMultipleHttp2Connections = true,
        // The client's own trace headers pass as they are.
        ActivityHeadersPropagator = null,
        ConnectTimeout = TimeSpan.FromSeconds(5),
        // A worker that died without a word is noticed while a request waits for it, in at most 25 s.
        KeepAlivePingDelay = TimeSpan.FromSeconds(15),
        KeepAlivePingTimeout = TimeSpan.FromSeconds(10),
        KeepAlivePingPolicy = HttpKeepAlivePingPolicy.WithActiveRequests,
        // Tensors are large: with the default 64 KiB a stream would stop for an acknowledgement every few packets.
        InitialHttp2StreamWindowSize = 1 << 20,
    };
}
