using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Abstractions;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Sluice.Worker.Configuration;

namespace Sluice.Worker.Startup;

/// <summary>
/// Runs Kestrel directly, without a host, dependency injection or configuration. A host would increase the cold start
/// by half, and an application with one purpose does not need it.
/// </summary>
internal sealed class WorkerServer : IDisposable
{
    private readonly WorkerSettings settings;
    private readonly KestrelServer kestrel;

    public WorkerServer(WorkerSettings settings, ILoggerFactory logs)
    {
        this.settings = settings;
        var options = new KestrelServerOptions { AddServerHeader = false };
        options.Limits.MaxRequestBodySize = settings.MaxBodyBytes;
        options.Limits.MinRequestBodyDataRate = null;
        options.Limits.MinResponseDataRate = null;
        options.Limits.Http2.MaxStreamsPerConnection = 1000;
        options.Limits.Http2.InitialStreamWindowSize = 1 << 20;
        options.Limits.Http2.InitialConnectionWindowSize = 8 << 20;
        options.Listen(settings.Bind, settings.Port, l => l.Protocols = HttpProtocols.Http2);
        if (settings.Http1Port is { } port)
            options.Listen(settings.Bind, port, l => l.Protocols = HttpProtocols.Http1);
        kestrel = new KestrelServer(Options.Create(options),
            new SocketTransportFactory(Options.Create(new SocketTransportOptions()), logs), logs);
    }

    /// <summary>Addresses that the server listens on.</summary>
    public IEnumerable<string> Addresses => kestrel.Features.Get<IServerAddressesFeature>()!.Addresses;

    /// <summary>Starts to listen.</summary>
    public Task StartAsync(RequestDelegate handler) =>
        kestrel.StartAsync(new Application(handler), CancellationToken.None);

    /// <summary>
    /// Rejects new connections, waits for requests in flight for at most the drain time, then aborts the rest.
    /// </summary>
    public async Task StopAsync()
    {
        using var limit = new CancellationTokenSource(settings.Drain, TimeProvider.System);
        await kestrel.StopAsync(limit.Token);
    }

    public void Dispose() => kestrel.Dispose();

    private sealed class Application(RequestDelegate handler) : IHttpApplication<HttpContext>
    {
        /// <summary>Reuses the context of a connection or HTTP/2 stream for its next request.</summary>
        public HttpContext CreateContext(IFeatureCollection contextFeatures)
        {
            if (contextFeatures is not IHostContextContainer<HttpContext> container)
                return new DefaultHttpContext(contextFeatures);
            if (container.HostContext is DefaultHttpContext known)
            {
                known.Initialize(contextFeatures);
                return known;
            }

            var made = new DefaultHttpContext(contextFeatures);
            container.HostContext = made;
            return made;
        }

        public Task ProcessRequestAsync(HttpContext context) => handler(context);

        public void DisposeContext(HttpContext context, Exception? exception)
        {
            // Releases the references to the request, because the connection can stay open for a long time.
            ((DefaultHttpContext)context).Uninitialize();
        }
    }
}
