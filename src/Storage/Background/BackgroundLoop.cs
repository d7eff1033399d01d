using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace Sluice.Storage.Background;

/// <summary>
/// Base class of every background service. It restarts the loop after an exception, because the host stops the whole
/// gateway when one of its services fails. See <see cref="LoopGuard"/> for the restart policy.
/// </summary>
public abstract class BackgroundLoop : BackgroundService
{
    private readonly LoopGuard guard;

    /// <param name="time">The clock for the pauses between restarts.</param>
    /// <param name="logger">Receives the failures as a bounded number of lines.</param>
    protected BackgroundLoop(TimeProvider time, ILogger logger)
    {
        guard = new LoopGuard(GetType().Name, time, logger);
        Failures = new FailureLog(time, logger);
    }

    /// <summary>
    /// Logs failures of one part of a pass. Such a failure must not prevent the other parts from running.
    /// </summary>
    protected FailureLog Failures { get; }

    protected sealed override Task ExecuteAsync(CancellationToken stoppingToken) =>
        guard.RunAsync(RunAsync, stoppingToken);

    /// <summary>
    /// Runs the loop. It returns when its work is done or when it is cancelled. After an exception it is called again.
    /// </summary>
    protected abstract Task RunAsync(CancellationToken ct);
}
