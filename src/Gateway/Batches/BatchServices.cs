using Sluice.Storage.Batches;
using Sluice.Storage.Catalog;
using Sluice.Storage.Files;

namespace Sluice.Gateway.Batches;

/// <summary>What the runs of batches use.</summary>
/// <param name="Store">The state of batches.</param>
/// <param name="Blobs">The bytes of files.</param>
/// <param name="Files">Writes the files of an output.</param>
/// <param name="Lines">Runs lines.</param>
/// <param name="Catalog">The endpoints.</param>
/// <param name="Settings">The limits.</param>
/// <param name="Time">The clock of pauses.</param>
public sealed record BatchServices(BatchStore Store, BlobStore Blobs, BatchFiles Files, BatchLineRunner Lines,
    CatalogWatcher Catalog, BatchSettings Settings, TimeProvider Time);
