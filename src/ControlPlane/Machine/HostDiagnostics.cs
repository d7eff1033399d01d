using System.Diagnostics;
using System.Text.Json;
using Microsoft.Extensions.Logging;
using Sluice.Domain.Fleet;
using Sluice.Hosting.Processes;
using Sluice.Shared;
using Sluice.Storage.Fleet;
using Sluice.Storage.Redis;

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

    private readonly TimeProvider time = time;
    private readonly ILogger<HostDiagnostics> logger = logger;

    protected override async Task RunAsync(CancellationToken ct)
    {
        await Task.Delay(First, time, ct);
        using var timer = new PeriodicTimer(Every, time);
        do
        {
            try
            {
                await store.PutReportAsync(new HostReport(host.Value, time.GetUtcNow(), await RunDoctorAsync(ct)), ct);
            }
            catch (Exception e) when (!ct.IsCancellationRequested)
            {
                CannotExamine(e.Message);
            }
        }
        while (await timer.WaitForNextTickAsync(ct));
    }

    /// <summary>Runs the doctor and returns its report as JSON.</summary>
    private async Task<string> RunDoctorAsync(CancellationToken ct)
    {
        var start = new ProcessStartInfo(worker.Command[0], [.. worker.Command.Skip(1), "doctor", "--json"])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            // The command uses no relative paths; the gateway's own working directory may contain SLUICE_DATA.
            WorkingDirectory = "/",
        };
        // The doctor gets the environment that workers get.
        ChildEnvironment.Clean(start.Environment);
        using var process = Process.Start(start)!;
        try
        {
            var output = process.StandardOutput.ReadToEndAsync(ct);
            var errors = process.StandardError.ReadToEndAsync(ct);
            var text = await output.WaitAsync(Patience, time, ct);
            await process.WaitForExitAsync(ct).WaitAsync(Patience, time, ct);
            if (IsReport(text)) return text;
            throw new InvalidOperationException(
                $"the doctor ended with exit code {process.ExitCode}: {text}{await errors}");
        }
        finally
        {
            if (!process.HasExited) process.Kill();
        }
    }

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
    private partial void CannotExamine(string error);
}
