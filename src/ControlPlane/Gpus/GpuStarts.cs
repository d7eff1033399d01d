using Microsoft.Extensions.Logging;
using Sluice.ControlPlane.Leadership;
using Sluice.ControlPlane.Pods;
using Sluice.Domain.Placement;
using Sluice.Storage.Fleet;

namespace Sluice.ControlPlane.Gpus;

/// <summary>Starts the workers that were placed, each with a claim on its devices.</summary>
internal sealed partial class GpuStarts(
    GpuAllocator gpus,
    LeaderOrders orders,
    EndpointReconcileStates states,
    ScalingDecisionLog decisions,
    ILogger<GpuStarts> logger)
{
    private readonly ILogger<GpuStarts> logger = logger;

    /// <summary>Starts the workers of a request that were placed, until one cannot be started.</summary>
    public async Task StartAsync(PendingGpuStarts order, IEnumerable<Placed> granted, CancellationToken ct)
    {
        var started = 0;
        foreach (var grant in granted)
        {
            if (!await StartPlacedAsync(order, grant, ct)) break;
            started++;
        }

        gpus.RecordStarted(order, started);
        if (started > 0) await StoreDecisionAsync(order, started, ct);
    }

    private async Task<bool> StartPlacedAsync(PendingGpuStarts order, Placed grant, CancellationToken ct)
    {
        var holding = new GpuAllocation(PodManager.NewId(order.EndpointId), order.EndpointId, grant.Devices)
        {
            Node = grant.Node,
            Gpu = gpus.DescribeDevices(grant.Devices),
        };
        if (!await gpus.ClaimAsync(holding, ct)) return false;
        var decision = await orders.StartAsync(order.Deployment, order.Fingerprint, order.Epoch, holding, ct);
        if (decision == StartDecision.Taken) return true;
        await gpus.ReleaseAsync([holding.PodId], ct);
        return false;
    }

    /// <summary>Stores the decision of this round with the number of workers that were started.</summary>
    private async Task StoreDecisionAsync(PendingGpuStarts order, int started, CancellationToken ct)
    {
        GpusAllocated(order.EndpointId, started, order.Because);
        if (states.Find(order.EndpointId) is { Noted: { } noted } state)
        {
            var record = noted with { Start = started };
            await decisions.PublishAsync(order.EndpointId, order.Epoch, record, state.Scale, ct);
        }
    }

    [LoggerMessage(LogLevel.Information, "Endpoint {Endpoint} starts {Count} workers on assigned devices: {Because}")]
    private partial void GpusAllocated(string endpoint, int count, string because);
}
