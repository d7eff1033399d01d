using System.Runtime.InteropServices;
using Sluice.Worker;
using Sluice.Worker.Doctor;
using Sluice.Worker.Models.Cache;
using Sluice.Worker.Standby;

// The model server process: models load while Kestrel starts; ready when both are there and the models are warm.
const int CannotServe = 3;
if (args is [MakerProcess.Verb]) return MakerProcess.Run();
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
