using System.Runtime.InteropServices;
using Sluice.Worker;
using Sluice.Worker.Api;
using Sluice.Worker.Doctor;
using Sluice.Worker.Models;
using Sluice.Worker.Models.Cache;

// The model server process: models load while Kestrel starts; ready when both are there and the models are warm.
const int CannotServe = 3;
if (args is [MakerProcess.Verb]) return MakerProcess.Run();
try
{
    if (args is ["doctor", .. var rest]) return await DoctorCommand.RunAsync(rest, Environment.GetEnvironmentVariable, Console.Out);
    var timeline = new StartTimeline();
    var settings = WorkerSettings.Read(Environment.GetEnvironmentVariable);
    using var host = new ModelHost(settings, timeline);
    var loading = Task.Run(host.Load);
    using var server = new WorkerServer(settings);
    var guard = new Guard(settings);
    var routes = Routes(settings, host, timeline);
    var stopping = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);

    using var term = PosixSignalRegistration.Create(PosixSignal.SIGTERM, Stop);
    using var interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, Stop);
    await server.StartAsync(context => guard.InvokeAsync(context, routes.InvokeAsync));
    timeline.MarkSinceStart("host");
    foreach (var address in server.Addresses) Console.WriteLine($"listening on {address}");
    await loading;
    Console.WriteLine($"ready: {string.Join(", ", host.Repository.Names)} ({timeline.ServerTiming()})");
    await stopping.Task;
    await server.StopAsync();
    return 0;

    void Stop(PosixSignalContext signal)
    {
        signal.Cancel = true;
        host.Drain();
        stopping.TrySetResult();
    }
}
catch (InvalidOperationException e)
{
    await Console.Error.WriteLineAsync(e.Message);
    return CannotServe;
}
catch (IOException e)
{
    // Kestrel's word for a port that is taken.
    await Console.Error.WriteLineAsync(e.Message);
    return CannotServe;
}

static Router Routes(WorkerSettings settings, ModelHost host, StartTimeline timeline)
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
