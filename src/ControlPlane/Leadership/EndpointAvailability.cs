using Microsoft.Extensions.Logging;
using Sluice.Domain.Declarations;
using Sluice.Domain.Fleet;
using Sluice.Storage.Fleet;
using Sluice.Storage.Queueing;

namespace Sluice.ControlPlane.Leadership;

/// <summary>Stores why workers of an endpoint wait for devices, and why its requests are rejected.</summary>
internal sealed partial class EndpointAvailability(
    GpuStore gpus,
    WorkerSlotStore slots,
    TimeProvider time,
    ILogger<EndpointAvailability> logger)
{
    private readonly ILogger<EndpointAvailability> logger = logger;

    /// <summary>Stores why workers of an endpoint wait, if it differs from what this leader has stored.</summary>
    /// <param name="endpointId">The endpoint.</param>
    /// <param name="epoch">The leader's epoch.</param>
    /// <param name="state">The leader's state of the endpoint.</param>
    /// <param name="wait">The reason; null: none waits.</param>
    /// <param name="ct">Cancels the call.</param>
    public async Task StoreWaitAsync(
        string endpointId,
        long epoch,
        EndpointReconcileState state,
        GpuWait? wait,
        CancellationToken ct)
    {
        state.Wait = wait;
        if (state.StoredWait == (epoch, wait)) return;
        if (wait is not null && wait.Reason != state.StoredWait.Wait?.Reason)
            GpuShortage(endpointId, wait.Workers, wait.Text);
        await gpus.SetWaitAsync(endpointId, wait, ct);
        state.StoredWait = (epoch, wait);
    }

    /// <summary>
    /// Updates the stored block if it differs from the current one: another leader may have written it, or Redis may
    /// have lost it.
    /// </summary>
    /// <param name="endpoint">The declared endpoint.</param>
    /// <param name="state">The leader's state of the endpoint.</param>
    /// <param name="anyReady">Whether a worker is ready.</param>
    /// <param name="snapshot">The endpoint's dispatch state.</param>
    /// <param name="ct">Cancels the call.</param>
    public async Task UpdateBlockAsync(
        Endpoint endpoint,
        EndpointReconcileState state,
        bool anyReady,
        EndpointSnapshot snapshot,
        CancellationToken ct)
    {
        var now = time.GetUtcNow();
        var blocked = state.GetBlock(endpoint, anyReady, now);
        if (blocked != snapshot.Blocked) await slots.BlockAsync(endpoint.Id, blocked, now, ct);
    }

    /// <summary>Reads the endpoint's dispatch state, and updates the stored block.</summary>
    public async Task UpdateBlockAsync(Endpoint endpoint, EndpointReconcileState state, CancellationToken ct)
    {
        var snapshot = await slots.SnapshotAsync(endpoint.Id, ct);
        await UpdateBlockAsync(endpoint, state, snapshot.Workers.Count > 0, snapshot, ct);
    }

    [LoggerMessage(LogLevel.Warning, "Endpoint {Endpoint} has {Count} workers that wait for devices: {Why}")]
    private partial void GpuShortage(string endpoint, int count, string why);
}
