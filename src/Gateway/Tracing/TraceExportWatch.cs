using System.Diagnostics.Metrics;
using Sluice.Shared;

namespace Sluice.Gateway.Tracing;

/// <summary>
/// Counts failed exports of traces, and logs a line when exports begin to fail and when they succeed again. The exports
/// follow one after another.
/// </summary>
/// <param name="receiver">The receiver of the traces.</param>
/// <param name="logger">Receives the lines.</param>
internal sealed partial class TraceExportWatch(Uri receiver, ILogger logger)
{
    private static readonly Counter<long> Failures = SluiceMeter.Meter.CreateCounter<long>(
        MetricNames.TraceExportsFailed, "{export}",
        "Exports of traces that the receiver did not accept; their spans are lost.");

    /// <summary>Failed exports since the last one that succeeded.</summary>
    private long failed;

    /// <summary>Records the result of an export.</summary>
    public void Record(bool isAccepted)
    {
        if (!isAccepted)
        {
            Failures.Add(1);
            // An address may contain a password.
            if (++failed == 1) TraceExportFailed(receiver.GetComponents(
                UriComponents.SchemeAndServer | UriComponents.Path, UriFormat.UriEscaped));
            return;
        }

        if (failed > 0) TraceExportRestored(failed);
        failed = 0;
    }

    [LoggerMessage(LogLevel.Warning,
        "Traces are not accepted by {Receiver}; their spans are lost until an export succeeds")]
    private partial void TraceExportFailed(string receiver);

    [LoggerMessage(LogLevel.Information, "Traces are accepted again after {Failed} failed exports")]
    private partial void TraceExportRestored(long failed);
}
