namespace Sluice.Worker.Runtime;

/// <summary>Copies between host memory and device memory. A copy is complete when the call returns.</summary>
internal abstract class DeviceCopy
{
    public abstract void ToDevice(nint device, nint host, long bytes);

    public abstract void ToHost(nint host, nint device, long bytes);
}
