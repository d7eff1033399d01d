using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace Sluice.Core;

/// <summary>
/// The base of every background service: no exception ends its loop, because the host stops the whole gateway when one of its services fails.
/// See <see cref="LoopGuard"/> for what happens instead.
/// </summary>
public abstract class BackgroundLoop : BackgroundService
{
    private readonly LoopGuard guard;

    /// <param name="time">The clock of the pauses.</param>
    /// <param name="logger">Receives failures, a bounded number of lines.</param>
    protected BackgroundLoop(TimeProvider time, ILogger logger)
    {
        guard = new LoopGuard(GetType().Name, time, logger);
        Failures = new FailureLog(time, logger);
    }

    /// <summary>For failures of one part of a pass, which must not keep the other parts from their turn.</summary>
    protected FailureLog Failures { get; }

    protected sealed override Task ExecuteAsync(CancellationToken stoppingToken) => guard.RunAsync(RunAsync, stoppingToken);

    /// <summary>The loop. It returns when its work is done or when it is cancelled; after an exception it is called again.</summary>
    protected abstract Task RunAsync(CancellationToken ct);
}
