namespace Sluice.Models.Cache;

/// <summary>Settings of the models that are kept on a node.</summary>
/// <param name="Folder">The folder. Gateways of one machine may share it.</param>
/// <param name="MaxBytes">
/// Maximum size of all models in it. Models that no worker uses are deleted for new ones, the least recently used
/// first.
/// </param>
public sealed record ModelStoreSettings(string Folder, long MaxBytes);
