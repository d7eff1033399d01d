using Sluice.ControlPlane.Machine;
using Sluice.ControlPlane.Pods;
using Sluice.Storage.Catalog;
using Sluice.Storage.Fleet;
using Sluice.Storage.Queueing;

namespace Sluice.ControlPlane.Reconciliation;

/// <summary>The parts of the gateway whose events request a round.</summary>
/// <param name="Catalog">Reports changed declarations.</param>
/// <param name="Store">Reports that the connection to Redis was restored.</param>
/// <param name="Slots">Reports queued requests and unreachable workers.</param>
/// <param name="Inventory">Reports changed GPUs.</param>
/// <param name="Termination">Reports pods that have exited.</param>
internal sealed record ReconcileSources(
    CatalogWatcher Catalog,
    PodStore Store,
    WorkerSlotStore Slots,
    GpuInventory Inventory,
    PodTermination Termination);
