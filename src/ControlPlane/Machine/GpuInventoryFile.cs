using Sluice.Domain.Declarations;
using Sluice.Domain.Gpus;
using Sluice.Hosting;

namespace Sluice.ControlPlane.Machine;

/// <summary>Reads the inventory from a file, again each time that the file changes.</summary>
internal sealed class GpuInventoryFile(string file) : IGpuSource
{
    private string? text;

    public TimeSpan ReadInterval => TimeSpan.FromSeconds(1);

    public async Task<Inventory?> ReadAsync(CancellationToken ct)
    {
        string said;
        try
        {
            said = await File.ReadAllTextAsync(file, ct);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return Inventory.None($"SLUICE_GPU_INVENTORY: {e.Message}");
        }

        if (said == text) return null;
        text = said;
        var (inventory, errors) = InventoryFile.Parse(said, file);
        return inventory ?? Inventory.None($"SLUICE_GPU_INVENTORY: {file}: {string.Join("; ", errors)}");
    }
}
