using Sluice.Worker.Api;
using Sluice.Worker.Doctor;
using Sluice.Worker.Models;

namespace Sluice.Worker;

/// <summary>A model server from its start to its end: it listens while its models load, and is ready when they are warm.</summary>
internal sealed class ModelServer : IDisposable
{
    private readonly WorkerSettings settings;
    private readonly StartTimeline timeline;
    private readonly ModelHost host;
    private readonly WorkerServer server;

    public ModelServer(WorkerSettings settings, StartTimeline timeline)
    {
        (this.settings, this.timeline) = (settings, timeline);
        host = new ModelHost(settings, timeline);
        server = new WorkerServer(settings);
    }

    public IEnumerable<string> Addresses => server.Addresses;

    /// <summary>Ends when every model is ready; throws when one cannot be served.</summary>
    public async Task StartAsync(TextWriter said)
    {
        var loading = Task.Run(host.Load);
        var guard = new Guard(settings);
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
        host.Dispose();
    }

    private Router Routes()
    {
        var routes = new Router();
        // The first that matches answers: /v2/models/stats is no model's name.
        new ModelsApi(host, settings).Map(routes);
        new OpenInferenceApi(host, settings, timeline).Map(routes);
        new GenerateApi(host, settings).Map(routes);
        new MetricsApi(host, new GpuMonitor(NvidiaSmi.Ask, Environment.GetEnvironmentVariable("CUDA_VISIBLE_DEVICES"), TimeProvider.System)).Map(routes);
        new RunApi(host, settings).Map(routes);
        return routes;
    }
}
