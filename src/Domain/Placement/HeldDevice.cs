namespace Sluice.Domain.Placement;

/// <summary>A device of a pod.</summary>
/// <param name="Uuid">UUID of a GPU or a MIG slice.</param>
/// <param name="ShareMiB">Part of the GPU's memory in MiB; null: the whole device, exclusively.</param>
public readonly record struct HeldDevice(string Uuid, long? ShareMiB = null);
