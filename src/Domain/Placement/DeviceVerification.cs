using System.Globalization;
using Sluice.Domain.Gpus;

namespace Sluice.Domain.Placement;

/// <summary>
/// Compares the devices that a worker got with those that its template requires, by the rules of placement. A property
/// that the worker does not know is not compared. Pure.
/// </summary>
public static class DeviceVerification
{
    private const int MaxNames = 8;

    /// <summary>Returns the first requirement that is not met; null: all are, or the devices are not known.</summary>
    /// <param name="needs">The template's <c>gpu</c>.</param>
    /// <param name="report">What the worker reported.</param>
    public static string? DescribeMismatch(GpuRequirements needs, DeviceReport report)
    {
        if (report.Error is not null) return null;
        if (report.Devices.Count != needs.Count) return DescribeCount(needs, report);
        foreach (var device in report.Devices)
        {
            var kind = ToKind(device);
            if (kind.Profile is not null && !needs.WantsSlice)
                return $"the worker got {kind} ({device.Uuid}), and the template requires a whole GPU";
            var unmet = RequirementMatcher.Parts.FirstOrDefault(p => IsKnown(p.Field, kind) && !p.Meets(needs, kind));
            if (unmet is not null)
                return $"the worker got {kind} ({device.Uuid}), and gpu.{unmet.Field} is {unmet.Wanted(needs)}";
        }

        return needs.NvLink && report.NvLinked == false
            ? $"gpu.nvLink is true, and NVLinks do not connect each pair of GPUs that the worker got: {Names(report)}"
            : null;
    }

    private static string DescribeCount(GpuRequirements needs, DeviceReport report)
    {
        var got = report.Devices.Count switch
        {
            0 => "no GPU",
            1 => $"1 GPU or MIG slice ({Names(report)})",
            var count => string.Create(CultureInfo.InvariantCulture, $"{count} GPUs or MIG slices ({Names(report)})"),
        };
        var hint = report.Devices.Count > needs.Count
            ? ": its container runtime does not restrict it to the devices that it was assigned"
            : "";
        return string.Create(CultureInfo.InvariantCulture,
            $"the worker got {got}, and gpu.count is {needs.Count}{hint}");
    }

    private static string Names(DeviceReport report)
    {
        var names = string.Join(", ", report.Devices.Take(MaxNames).Select(d => $"{ToKind(d)} {d.Uuid}"));
        return report.Devices.Count <= MaxNames ? names
            : string.Create(CultureInfo.InvariantCulture, $"{names} and {report.Devices.Count - MaxNames} more");
    }

    private static DeviceKind ToKind(ReportedDevice device)
    {
        var model = GpuModelCatalog.Find(device.Name);
        var gpu = new Gpu
        {
            Index = 0,
            Uuid = device.Uuid,
            Name = device.Name,
            MemoryMiB = device.MemoryMiB ?? 0,
            ComputeCapability = device.ComputeCapability ?? model?.ComputeCapability ?? default,
            Driver = device.Driver,
        };
        return new DeviceKind(0, gpu, device.Mig is null ? null : new MigSlice(device.Uuid, device.Mig, 0));
    }

    /// <summary>Whether a worker knows the property that a field of <c>gpu</c> restricts.</summary>
    private static bool IsKnown(string field, DeviceKind kind) => field switch
    {
        "minMemory" or "share" => kind.MemoryMiB > 0,
        "precision" or "minComputeCapability" => kind.ComputeCapability != default,
        "cuda" => kind.Driver is not null && kind.ComputeCapability != default,
        "minDriver" => kind.Driver is not null,
        "confidential" => false,
        _ => true,
    };
}
