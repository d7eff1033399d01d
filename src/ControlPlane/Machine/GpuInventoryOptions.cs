namespace Sluice.ControlPlane.Machine;

/// <summary>The source of the inventory.</summary>
/// <param name="File">Path of an inventory file; null: the host's own source, otherwise nvidia-smi.</param>
/// <param name="Node">Name of this machine. GPUs whose source names no node are on it.</param>
public sealed record GpuInventoryOptions(string? File, string Node);
