using System.Globalization;
using Sluice.Domain.Gpus;
using Sluice.Domain.Placement;

namespace Sluice.Domain.Usage;

/// <summary>The devices of a worker as usage is counted: a type and how many of it. Pure.</summary>
public static class GpuUse
{
    /// <summary>Returns the text for devices: <c>H100</c>, <c>2xH100</c>, <c>0.5xL4</c>, <c>A100/1g.10gb</c>.</summary>
    /// <param name="inventory">Contains the devices. The type of a device that it does not contain is unknown.</param>
    /// <param name="devices">The devices; all have one type.</param>
    public static string Describe(Inventory inventory, IReadOnlyList<HeldDevice> devices)
    {
        if (devices.Count == 0) return "";
        var (type, memory) = TypeOf(inventory, devices[0].Uuid);
        double number = devices.Count;
        if (devices[0].ShareMiB is { } share && memory > 0) number = Math.Round(share / (double)memory, 3);
        return number == 1 ? type : string.Create(CultureInfo.InvariantCulture, $"{number:0.###}x{type}");
    }

    /// <summary>Returns the type and the number of devices of a text.</summary>
    public static (string Type, double Number) Parse(string text)
    {
        var x = text.IndexOf('x', StringComparison.Ordinal);
        return x > 0 && double.TryParse(text.AsSpan(0, x), NumberStyles.AllowDecimalPoint,
            CultureInfo.InvariantCulture, out var number)
            ? (text[(x + 1)..], number)
            : (text, 1);
    }

    private static (string Type, long MemoryMiB) TypeOf(Inventory inventory, string uuid)
    {
        foreach (var gpu in inventory.Gpus)
        {
            var name = GpuModelCatalog.Find(gpu.Name)?.Id ?? gpu.Name;
            if (gpu.Uuid == uuid) return (name, gpu.MemoryMiB);
            if (gpu.Slices.FirstOrDefault(s => s.Uuid == uuid) is { } slice) return ($"{name}/{slice.Profile}", 0);
        }

        return ("unknown", 0);
    }
}
