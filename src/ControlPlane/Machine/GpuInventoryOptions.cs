namespace Sluice.ControlPlane.Machine;

/// <summary>The source of the inventory of this machine.</summary>
/// <param name="File">Path of an inventory file; null: nvidia-smi.</param>
public sealed record GpuInventoryOptions(string? File);
