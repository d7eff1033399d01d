using Sluice.Worker.Api;
using Sluice.Worker.Doctor;
using Sluice.Worker.Logging;
using Sluice.Worker.Models;
using Sluice.Worker.Tracing;

namespace Sluice.Worker;

/// <summary>A model server from its start to its end: it listens while its models load, and is ready when they are warm.</summary>
internal sealed class ModelServer : IDisposable
{
    private readonly WorkerSettings settings;
    private readonly StartTimeline timeline;
    private readonly ModelHost host;
    private readonly WorkerServer server;
    private readonly WorkerLog log = WorkerLog.OfProcess();
    private readonly Tracer tracer;

    public ModelServer(WorkerSettings settings, StartTimeline timeline)
    {
        (this.settings, this.timeline) = (settings, timeline);
        host = new ModelHost(settings, timeline, log);
        server = new WorkerServer(settings, log);
        tracer = new Tracer(log);
    }

    public IEnumerable<string> Addresses => server.Addresses;

    /// <summary>Ends when every model is ready; throws when one cannot be served.</summary>
    public async Task StartAsync(TextWriter said)
    {
        var loading = Task.Run(host.Load);
        var guard = new Guard(settings, log);
        var routes = Routes();
        await server.StartAsync(context => guard.InvokeAsync(context, routes.InvokeAsync));
        timeline.MarkSinceStart("host");
        foreach (var address in server.Addresses) await said.WriteLineAsync($"listening on {address}");
        await loading;
        await said.WriteLineAsync($"ready: {string.Join(", ", host.Repository.Names)} ({timeline.ServerTiming()})");
    }

    /// <summary>Not ready any more, so that nothing new comes.</summary>
    public void Drain() => host.Drain();

    /// <summary>Finishes what runs, for as long as the settings allow.</summary>
    public Task StopAsync() => server.StopAsync();

    public void Dispose()
    {
        server.Dispose();
        tracer.Dispose();
        host.Dispose();
        log.Dispose();
    }

    private Router Routes()
    {
        var routes = new Router();
        // The first that matches answers: /v2/models/stats is no model's name.
        new ModelsApi(host, settings).Map(routes);
        var load = new LoadReport(host);
        var inferences = new Inferences(settings, tracer, load);
        new OpenInferenceApi(host, timeline, inferences).Map(routes);
        var generate = new GenerateApi(host, settings, log, tracer, inferences, load);
        generate.Map(routes);
        new MetricsApi(host, new GpuMonitor(NvidiaSmi.Ask, Environment.GetEnvironmentVariable("CUDA_VISIBLE_DEVICES"), TimeProvider.System)).Map(routes);
        new RunApi(host, settings, generate, tracer).Map(routes);
        new LoggingApi(log).Map(routes);
        new TraceApi(host, tracer).Map(routes);
        return routes;
    }
}
