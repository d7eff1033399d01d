using System.Diagnostics;
using System.Globalization;
using System.Net;
using Yarp.ReverseProxy.Forwarder;

// The limit of what a gateway on YARP can be: IHttpForwarder and nothing else. PORT_H2C forwards to UPSTREAM_H2C over
// HTTP/2 cleartext, PORT_HTTP1 to UPSTREAM_HTTP1 over HTTP/1.1.
var builder = WebApplication.CreateSlimBuilder();
builder.Logging.ClearProviders();
builder.Services.AddHttpForwarder();
var (h2c, http1) = (Port("PORT_H2C"), Port("PORT_HTTP1"));
builder.WebHost.ConfigureKestrel(kestrel =>
{
    kestrel.AddServerHeader = false;
    kestrel.Listen(IPAddress.Loopback, h2c);
    kestrel.Listen(IPAddress.Loopback, http1);
});
var app = builder.Build();
var forwarder = app.Services.GetRequiredService<IHttpForwarder>();
using var client = new HttpMessageInvoker(new SocketsHttpHandler
{
    UseProxy = false,
    UseCookies = false,
    AllowAutoRedirect = false,
    AutomaticDecompression = DecompressionMethods.None,
    EnableMultipleHttp2Connections = true,
    ActivityHeadersPropagator = new ReverseProxyPropagator(DistributedContextPropagator.Current),
});
var over2 = new ForwarderRequestConfig { Version = HttpVersion.Version20, VersionPolicy = HttpVersionPolicy.RequestVersionExact };
var over1 = new ForwarderRequestConfig { Version = HttpVersion.Version11, VersionPolicy = HttpVersionPolicy.RequestVersionExact };
var (to2, to1) = ($"http://127.0.0.1:{Port("UPSTREAM_H2C")}", $"http://127.0.0.1:{Port("UPSTREAM_HTTP1")}");
app.Map("/{**path}", async context =>
{
    var two = context.Connection.LocalPort == h2c;
    await forwarder.SendAsync(context, two ? to2 : to1, client, two ? over2 : over1, HttpTransformer.Default);
});
await app.StartAsync();
Console.WriteLine("ready");
await app.WaitForShutdownAsync();

static int Port(string variable) => int.Parse(Environment.GetEnvironmentVariable(variable)!, CultureInfo.InvariantCulture);
