using System.Runtime.InteropServices;
using Microsoft.ML.OnnxRuntime;
using Sluice.Worker;
using Sluice.Worker.Doctor;
using Sluice.Worker.Models.Cache;
using Sluice.Worker.Standby;

// The model server process: models load while Kestrel starts; ready when both are there and the models are warm.
const int CannotServe = 3;
if (args is [MakerProcess.Verb]) return MakerProcess.Run();
if (args is [TrialProcess.Verb]) return TrialProcess.Run();
try
{
    if (args is ["doctor", .. var rest]) return await DoctorCommand.RunAsync(rest, Environment.GetEnvironmentVariable, Console.Out);
    var standby = args is [StandbyCommand.Verb, ..];
    if (standby && !await StandbyCommand.WaitAsync(args.Contains(StandbyCommand.DevicesLater), Console.In, Console.Out)) return 0;
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
    // IOException: Kestrel's for a port that is taken. Of anything else the place in the code is needed too.
    if (e is not (InvalidOperationException or IOException or UnauthorizedAccessException or OnnxRuntimeException)) await Console.Error.WriteLineAsync($"{e}");
    // The gateway shows the last line as the reason: messages of ONNX Runtime end with an empty one.
    await Console.Error.WriteLineAsync(FinalLine.Of(e));
    return CannotServe;
}
