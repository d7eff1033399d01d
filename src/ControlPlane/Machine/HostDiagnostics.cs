using System.Text.Json;
using Microsoft.Extensions.Logging;
using Sluice.Domain.Fleet;
using Sluice.Hosting.Processes;
using Sluice.Storage.Background;
using Sluice.Storage.Fleet;

namespace Sluice.ControlPlane.Machine;

/// <summary>
/// Runs the built-in worker's <c>doctor</c> command, which examines this host's hardware, driver, libraries and one run
/// on each provider, at the start and each <see cref="Every"/>, and stores its report for all gateways.
/// </summary>
public sealed partial class HostDiagnostics(
    BuiltInWorker worker,
    HostId host,
    PodStore store,
    TimeProvider time,
    ILogger<HostDiagnostics> logger)
    : BackgroundLoop(time, logger)
{
    /// <summary>Interval between two examinations: drivers are updated, and GPUs can disappear from the bus.</summary>
    private static readonly TimeSpan Every = TimeSpan.FromMinutes(10);

    /// <summary>Delay of the first examination, so that it does not slow down the gateway's start.</summary>
    private static readonly TimeSpan First = TimeSpan.FromSeconds(3);

    /// <summary>
    /// Time limit of the command. nvidia-smi on a broken driver can hang for longer than the 5 s that the doctor allows
    /// it.
    /// </summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    /// <summary>Characters of the doctor's output in a log message.</summary>
    private const int MaxLogged = 1000;

    private readonly TimeProvider time = time;
    private readonly ILogger<HostDiagnostics> logger = logger;

    protected override async Task RunAsync(CancellationToken ct)
    {
        await Task.Delay(First, time, ct);
        using var timer = SharedTicks.Every(Every, time);
        do
        {
            try
            {
                await store.PutReportAsync(new HostReport(host.Value, time.GetUtcNow(), await RunDoctorAsync(ct)), ct);
            }
            catch (Exception e) when (!ct.IsCancellationRequested)
            {
                HostExaminationFailed(e.Message);
            }
        }
        while (await timer.WaitForNextTickAsync(ct));
    }

    /// <summary>Runs the doctor and returns its report as JSON.</summary>
    private async Task<string> RunDoctorAsync(CancellationToken ct)
    {
        using var limit = new CancellationTokenSource(Patience, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(ct, limit.Token);
        try
        {
            // The command uses no relative paths; the gateway's own working directory may contain SLUICE_DATA.
            string[] arguments = [.. worker.Command.Skip(1), "doctor", "--json"];
            var run = await ProgramRun.RunAsync(worker.Command[0], arguments, "/", either.Token);
            if (IsReport(run.Output)) return run.Output;
            throw new InvalidOperationException(
                $"the doctor ended with exit code {run.ExitCode}: {Start(run.Output)}{Start(run.Error)}");
        }
        catch (OperationCanceledException) when (!ct.IsCancellationRequested)
        {
            throw new TimeoutException($"the doctor did not end within {Patience.TotalSeconds:0} s");
        }
    }

    /// <summary>Returns the start of a text, for a log message.</summary>
    private static string Start(string text) => text[..Math.Min(text.Length, MaxLogged)];

    private static bool IsReport(string text)
    {
        try
        {
            using var report = JsonDocument.Parse(text);
            return report.RootElement.ValueKind == JsonValueKind.Object;
        }
        catch (JsonException)
        {
            return false;
        }
    }

    [LoggerMessage(LogLevel.Warning, "Host examination failed: {Error}")]
    private partial void HostExaminationFailed(string error);
}
