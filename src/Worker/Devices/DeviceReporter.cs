using System.Text.Json;
using System.Text.Json.Serialization;

namespace Sluice.Worker.Devices;

/// <summary>
/// Reports to the gateway which GPUs and MIG slices this worker got, so that the gateway can compare them with what the
/// template requires. nvidia-smi runs while the models are loaded.
/// </summary>
/// <param name="read">Runs nvidia-smi.</param>
/// <param name="readNvLinks">Returns the pairs of GPUs that NVLinks connect.</param>
/// <param name="visible">Value of CUDA_VISIBLE_DEVICES.</param>
internal sealed class DeviceReporter(
    Func<SmiAnswer> read, Func<IReadOnlyList<(int A, int B)>> readNvLinks, string? visible)
{
    /// <summary>Response header of <c>/v2/health/ready</c>.</summary>
    public const string Header = "X-Sluice-Devices";

    /// <summary>The gateway sets this variable to 1 for a template with <c>gpu</c>.</summary>
    public const string Variable = "SLUICE_REPORT_DEVICES";

    /// <summary>Characters of an error that are reported: nvidia-smi may print more than a header can have.</summary>
    private const int MaxError = 300;

    private readonly Task<string> report = Task.Run(() => TryDescribe(read, visible, readNvLinks));

    /// <summary>Whether the report is complete. Until then the worker is not ready.</summary>
    public bool IsComplete => report.IsCompleted;

    /// <summary>The value of the header, JSON in ASCII. Read it when the report is complete.</summary>
    public string Value => report.Result;

    /// <summary>Writes the report.</summary>
    /// <param name="answer">The output of nvidia-smi.</param>
    /// <param name="visible">Value of CUDA_VISIBLE_DEVICES; null: all devices that nvidia-smi lists.</param>
    /// <param name="readNvLinks">Returns the pairs of GPUs that NVLinks connect; called for two GPUs or more.</param>
    public static string Describe(
        SmiAnswer answer, string? visible, Func<IReadOnlyList<(int A, int B)>> readNvLinks)
    {
        var devices = Select(answer, visible).ToList();
        var gpus = devices.Where(d => d.Mig is null).Select(d => d.Gpu.Index).ToList();
        bool? linked = gpus.Count > 1 ? AreLinked(gpus, readNvLinks()) : null;
        return Write(new Report([.. devices.Select(ToDevice)], linked, answer.Error));
    }

    /// <summary>A worker that cannot examine its GPUs serves, and says so.</summary>
    private static string TryDescribe(
        Func<SmiAnswer> read, string? visible, Func<IReadOnlyList<(int A, int B)>> readNvLinks)
    {
        try
        {
            return Describe(read(), visible, readNvLinks);
        }
        catch (Exception e)
        {
            return Write(new Report([], null, e.Message));
        }
    }

    private static string Write(Report report)
    {
        if (report.Error is { Length: > MaxError } error) report = report with { Error = error[..MaxError] };
        return JsonSerializer.Serialize(report, DeviceReporterJson.Default.Report);
    }

    private static IEnumerable<(GpuFacts Gpu, MigInstance? Mig)> Select(SmiAnswer answer, string? visible)
    {
        if (visible is null) return answer.Gpus.SelectMany(g => WithInstances(g, answer.Mig));
        return visible.Split(',', StringSplitOptions.TrimEntries).SelectMany(name =>
            answer.Mig.FirstOrDefault(m => m.Uuid == name) is { } mig
                ? answer.Gpus.Where(g => g.Index == mig.Gpu).Select(g => (g, (MigInstance?)mig))
                : GpuMonitor.Visible(answer, name).Select(g => (g, (MigInstance?)null)));
    }

    private static IEnumerable<(GpuFacts Gpu, MigInstance? Mig)> WithInstances(
        GpuFacts gpu, IReadOnlyList<MigInstance> all)
    {
        var instances = all.Where(m => m.Gpu == gpu.Index).ToList();
        return instances.Count > 0 ? instances.Select(m => (gpu, (MigInstance?)m)) : [(gpu, null)];
    }

    /// <summary>Whether NVLinks connect each pair of GPUs.</summary>
    private static bool AreLinked(IReadOnlyList<int> gpus, IReadOnlyList<(int A, int B)> pairs) =>
        gpus.All(a => gpus.All(b => a == b || pairs.Contains((a, b))));

    private static Device ToDevice((GpuFacts Gpu, MigInstance? Mig) device) => new(
        device.Mig?.Uuid ?? device.Gpu.Uuid, device.Gpu.Name, device.Gpu.MemoryMiB, device.Gpu.ComputeCapability,
        device.Gpu.Driver, device.Mig?.Profile);

    /// <summary>The header. The gateway reads it as <c>DeviceReport</c>.</summary>
    internal sealed record Report(IReadOnlyList<Device> Devices, bool? NvLinked, string? Error);

    /// <summary>A GPU or slice.</summary>
    internal sealed record Device(
        string Uuid, string Name, long? MemoryMiB, string? ComputeCapability, string? Driver, string? Mig);
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(DeviceReporter.Report))]
internal sealed partial class DeviceReporterJson : JsonSerializerContext;
