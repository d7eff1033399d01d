using Microsoft.AspNetCore.Http;
using Sluice.Worker.Api;
using Sluice.Worker.Configuration;
using Sluice.Worker.Devices;
using Sluice.Worker.Http;
using Sluice.Worker.Logging;
using Sluice.Worker.OpenAi;
using Sluice.Worker.Serving;
using Sluice.Worker.Telemetry;
using Sluice.Worker.Tracing;

namespace Sluice.Worker.Startup;

/// <summary>
/// Runs the model server. The server listens while its models are loaded, and is ready when all models are warm.
/// </summary>
internal sealed class ModelServer : IDisposable
{
    private readonly WorkerSettings settings;
    private readonly StartTimeline timeline;
    private readonly ModelHost host;
    private readonly WorkerServer server;
    private readonly WorkerLog log = WorkerLog.ForProcess();
    private readonly Tracer tracer;
    private readonly DeviceReporter? devices;
    private IDisposable? export;

    public ModelServer(WorkerSettings settings, StartTimeline timeline)
    {
        this.settings = settings;
        this.timeline = timeline;
        host = new ModelHost(settings, timeline, log);
        server = new WorkerServer(settings, log);
        tracer = new Tracer(log);
        if (settings.ReportsDevices)
            devices = new DeviceReporter(NvidiaSmi.Read, NvidiaSmi.ReadNvLinks, VisibleDevices);
    }

    private static string? VisibleDevices => Environment.GetEnvironmentVariable("CUDA_VISIBLE_DEVICES");

    /// <summary>Addresses that the server listens on.</summary>
    public IEnumerable<string> Addresses => server.Addresses;

    /// <summary>Starts the server and waits until all models are ready. Throws if a model cannot be loaded.</summary>
    /// <param name="output">
    /// The output for the lines <c>listening on ADDRESS</c> and <c>ready: MODELS (TIMES)</c>.
    /// </param>
    public async Task StartAsync(TextWriter output)
    {
        var loading = Task.Run(host.Load);
        var exports = settings.ExportsTraces
            ? Task.Run(() => export = TraceExport.Start(Environment.GetEnvironmentVariable, settings.PodId))
            : Task.CompletedTask;
        var guard = new WorkerAuthMiddleware(settings, log);
        var routes = CreateRoutes();
        RequestDelegate handler = context => guard.InvokeAsync(context, routes.InvokeAsync);
        if (settings.ExportsTraces) handler = new RequestSpans(routes, handler).InvokeAsync;
        await server.StartAsync(handler);
        timeline.MarkSinceStart("host");
        foreach (var address in server.Addresses) await output.WriteLineAsync($"listening on {address}");
        await loading;
        await exports;
        await output.WriteLineAsync($"ready: {string.Join(", ", host.Repository.Names)} ({timeline.ServerTiming()})");
    }

    /// <summary>Reports the server as not ready, so that it receives no new requests.</summary>
    public void Drain() => host.Drain();

    /// <summary>Waits for running requests for at most the drain time, and stops the server.</summary>
    public Task StopAsync() => server.StopAsync();

    public void Dispose()
    {
        server.Dispose();
        tracer.Dispose();
        export?.Dispose();
        host.Dispose();
        log.Dispose();
    }

    /// <summary>Writes the error of a path that no API has, below <c>/v1</c> in the form of OpenAI.</summary>
    private static Task RefuseAsync(HttpContext context, int status, string text)
    {
        if (!context.Request.Path.StartsWithSegments("/v1")) return JsonResponses.ErrorAsync(context, status, text);
        context.Response.StatusCode = status;
        return JsonResponses.WriteAsync(context, new ErrorObject(status, text, null, "not_found").Write);
    }

    private Router CreateRoutes()
    {
        var routes = new Router(RefuseAsync);
        // The first matching route handles a request. ModelsApi is first, so that /v2/models/stats is not a model name.
        new ModelsApi(host, settings).Map(routes);
        var load = new LoadReport(host);
        var usage = new UsageReports();
        usage.Map(routes);
        var inferences = new InferencePipeline(settings, tracer, load);
        new OpenInferenceApi(host, timeline, inferences, devices).Map(routes);
        var generate = new GenerateApi(host, settings, log, tracer, inferences, load, usage);
        generate.Map(routes);
        var gpus = new GpuMonitor(NvidiaSmi.Read, VisibleDevices, TimeProvider.System);
        new MetricsApi(host, gpus).Map(routes);
        new RunApi(host, settings, generate, tracer).Map(routes);
        var texts = new TextApi(host, settings, TimeProvider.System, log, load, usage);
        new ChatApi(texts).Map(routes);
        new CompletionsApi(texts).Map(routes);
        new EmbeddingsApi(host, settings, log, usage).Map(routes);
        new ModelListApi(host, log).Map(routes);
        new LoggingApi(log).Map(routes);
        new TraceApi(host, tracer).Map(routes);
        return routes;
    }
}
