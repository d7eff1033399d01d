using System.Runtime.InteropServices;
using Microsoft.ML.OnnxRuntime;
using Sluice.Worker;
using Sluice.Worker.Configuration;
using Sluice.Worker.Doctor;
using Sluice.Worker.Models.Cache;
using Sluice.Worker.Serving;
using Sluice.Worker.Standby;
using Sluice.Worker.Startup;

// The process of the model server. Models are loaded while Kestrel starts.
const int CannotServe = 3;
if (args is [OptimizerProcess.Verb]) return OptimizerProcess.Run();
if (args is [TrialProcess.Verb]) return TrialCommand.Run();
try
{
    if (args is ["doctor", .. var rest])
        return await DoctorCommand.RunAsync(rest, Environment.GetEnvironmentVariable, Console.Out);
    if (args is [InspectCommand.Verb, .. var inspected])
        return await InspectCommand.RunAsync(inspected, Environment.GetEnvironmentVariable, Console.Out);
    var standby = args is [StandbyCommand.Verb, ..];
    var devicesLater = args.Contains(StandbyCommand.DevicesLater);
    if (standby && !await StandbyCommand.WaitAsync(devicesLater, Console.In, Console.Out)) return 0;
    var timeline = standby ? StartTimeline.FromNow() : new StartTimeline();
    using var server = new ModelServer(WorkerSettings.Read(Environment.GetEnvironmentVariable), timeline);
    var stopping = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);

    using var term = PosixSignalRegistration.Create(PosixSignal.SIGTERM, Stop);
    using var interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, Stop);
    await server.StartAsync(Console.Out);
    await stopping.Task;
    await server.StopAsync();
    return 0;

    void Stop(PosixSignalContext signal)
    {
        signal.Cancel = true;
        server.Drain();
        stopping.TrySetResult();
    }
}
catch (Exception e)
{
    // These exceptions have a clear message (Kestrel throws IOException for a port in use). All others need a stack
    // trace.
    if (e is not (InvalidOperationException or IOException or UnauthorizedAccessException or OnnxRuntimeException))
        await Console.Error.WriteLineAsync($"{e}");
    // The gateway shows the last line as the reason. It is written separately, because messages of ONNX Runtime end
    // with an empty line.
    await Console.Error.WriteLineAsync(FinalLine.Format(e));
    return CannotServe;
}
