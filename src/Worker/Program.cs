using System.Runtime.InteropServices;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Sluice.Worker;
using Sluice.Worker.Api;
using Sluice.Worker.Models;

// The model server process: models load while Kestrel starts; ready when both are there and the models are warm.
const int CannotServe = 3;
try
{
    var timeline = new StartTimeline();
    var settings = WorkerSettings.Read(Environment.GetEnvironmentVariable);
    using var host = new ModelHost(settings, timeline);
    var loading = Task.Run(host.Load);
    await using var app = Build(settings, host, timeline);

    using var term = PosixSignalRegistration.Create(PosixSignal.SIGTERM, Stop);
    using var interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, Stop);
    await app.StartAsync();
    timeline.MarkSinceStart("host");
    foreach (var address in app.Urls) Console.WriteLine($"listening on {address}");
    await loading;
    Console.WriteLine($"ready: {string.Join(", ", host.Repository.Names)} ({timeline.ServerTiming()})");
    await app.WaitForShutdownAsync();
    return 0;

    void Stop(PosixSignalContext signal)
    {
        signal.Cancel = true;
        host.Drain();
        app.Lifetime.StopApplication();
    }
}
catch (InvalidOperationException e)
{
    await Console.Error.WriteLineAsync(e.Message);
    return CannotServe;
}

static WebApplication Build(WorkerSettings settings, ModelHost host, StartTimeline timeline)
{
    var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
    builder.Services.AddRoutingCore();
    builder.Services.Configure<HostOptions>(o => o.ShutdownTimeout = settings.Drain);
    builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel =>
    {
        kestrel.AddServerHeader = false;
        kestrel.Limits.MaxRequestBodySize = settings.MaxBodyBytes;
        kestrel.Limits.MinRequestBodyDataRate = null;
        kestrel.Limits.MinResponseDataRate = null;
        kestrel.Limits.Http2.MaxStreamsPerConnection = 1000;
        kestrel.Limits.Http2.InitialStreamWindowSize = 1 << 20;
        kestrel.Limits.Http2.InitialConnectionWindowSize = 8 << 20;
        kestrel.Listen(settings.Bind, settings.Port, l => l.Protocols = HttpProtocols.Http2);
        if (settings.Http1Port is { } port)
            kestrel.Listen(settings.Bind, port, l => l.Protocols = HttpProtocols.Http1);
    });
    var app = builder.Build();
    var guard = new Guard(settings);
    app.Use(next => context => guard.InvokeAsync(context, next));
    var inference = new OpenInferenceApi(host, settings, timeline);
    var generation = new GenerateApi(host, settings);
    inference.Map(app);
    generation.Map(app);
    new RunApi(host, settings, inference, generation).Map(app);
    return app;
}
