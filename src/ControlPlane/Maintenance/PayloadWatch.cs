using Microsoft.Extensions.Logging;
using Sluice.Storage.Background;
using Sluice.Storage.Jobs;

namespace Sluice.ControlPlane.Maintenance;

/// <summary>
/// Checks every second whether the payload share is available. A gateway without the share is not ready and takes no
/// jobs.
/// </summary>
public sealed partial class PayloadWatch(PayloadShare share, TimeProvider time, ILogger<PayloadWatch> logger)
    : BackgroundLoop(time, logger)
{
    private static readonly TimeSpan Every = TimeSpan.FromSeconds(1);

    private readonly TimeProvider time = time;
    private readonly ILogger<PayloadWatch> logger = logger;
    private bool lost;

    protected override async Task RunAsync(CancellationToken ct)
    {
        using var timer = SharedTicks.Every(Every, time);
        do
        {
            var available = await share.CheckMarkerAsync();
            if (!available && !lost) PayloadShareLost(share.WhyUnavailable ?? "");
            if (available && lost) PayloadShareReturned(share.Folder);
            lost = !available;
        }
        while (await timer.WaitForNextTickAsync(ct));
    }

    [LoggerMessage(LogLevel.Error,
        "Payload share is not available; this gateway is not ready and takes no jobs until it is: {Why}")]
    private partial void PayloadShareLost(string why);

    [LoggerMessage(LogLevel.Information, "Payload share {Folder} is available again")]
    private partial void PayloadShareReturned(string folder);
}
