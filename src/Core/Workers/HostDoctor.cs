using System.Diagnostics;
using System.Text.Json;
using Microsoft.Extensions.Logging;

namespace Sluice.Core.Workers;

/// <summary>
/// Has this host's stack examined by the built-in worker's own <c>doctor</c> (hardware, driver, libraries, a run on each provider),
/// at the start and each <see cref="Every"/>, and tells all gateways what it said.
/// </summary>
public sealed partial class HostDoctor(BuiltInWorker worker, HostId host, PodStore store, TimeProvider time, ILogger<HostDoctor> logger)
    : BackgroundLoop(time, logger)
{
    /// <summary>Drivers are updated, and GPUs fall off their bus.</summary>
    private static readonly TimeSpan Every = TimeSpan.FromMinutes(10);

    /// <summary>Not in the way of a start.</summary>
    private static readonly TimeSpan First = TimeSpan.FromSeconds(3);

    /// <summary>nvidia-smi on a broken driver can hang for longer; the doctor itself gives it 5 s.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private readonly TimeProvider time = time;
    private readonly ILogger<HostDoctor> logger = logger;

    protected override async Task RunAsync(CancellationToken ct)
    {
        await Task.Delay(First, time, ct);
        using var timer = new PeriodicTimer(Every, time);
        do
        {
            try
            {
                await store.PutReportAsync(new HostReport(host.Value, time.GetUtcNow(), await AskAsync(ct)), ct);
            }
            catch (Exception e) when (!ct.IsCancellationRequested)
            {
                CannotExamine(e.Message);
            }
        }
        while (await timer.WaitForNextTickAsync(ct));
    }

    /// <summary>The doctor's JSON.</summary>
    private async Task<string> AskAsync(CancellationToken ct)
    {
        var start = new ProcessStartInfo(worker.Command[0], [.. worker.Command.Skip(1), "doctor", "--json"])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            // It reads and writes nothing by relative paths; the gateway's own directory may hold SLUICE_DATA.
            WorkingDirectory = "/",
        };
        // It sees what workers see.
        ChildEnvironment.Clean(start.Environment);
        using var process = Process.Start(start)!;
        try
        {
            var (said, complained) = (process.StandardOutput.ReadToEndAsync(ct), process.StandardError.ReadToEndAsync(ct));
            var text = await said.WaitAsync(Patience, time, ct);
            await process.WaitForExitAsync(ct).WaitAsync(Patience, time, ct);
            return IsReport(text) ? text : throw new InvalidOperationException($"it ended with {process.ExitCode}: {text}{await complained}");
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

    [LoggerMessage(LogLevel.Warning, "This host could not be examined: {Error}")]
    private partial void CannotExamine(string error);
}

/// <summary>What the doctor said of a host.</summary>
/// <param name="HostId">The host.</param>
/// <param name="At">When it was examined.</param>
/// <param name="Report">JSON: the verdict, the layers, and what was found.</param>
public sealed record HostReport(string HostId, DateTimeOffset At, string Report);
