using System.Text.Json;
using System.Text.Json.Serialization;

namespace Sluice.Domain.Gpus;

/// <summary>
/// The devices that a worker sees, as it reports when it is ready. Some hosts choose the devices themselves: Kubernetes
/// counts GPUs, and its device plugin gives any of them to a pod.
/// </summary>
public sealed record DeviceReport
{
    /// <summary>Response header at the ready path of a worker, with this record as JSON.</summary>
    public const string Header = "X-Sluice-Devices";

    /// <summary>
    /// Environment variable of a worker that should report its devices: that of a template with <c>gpu</c>.
    /// </summary>
    public const string Variable = "SLUICE_REPORT_DEVICES";

    private const int MaxLength = 16 << 10;
    private const int MaxDevices = 64;
    private const int MaxText = 128;

    /// <summary>The devices, in the order of CUDA.</summary>
    public IReadOnlyList<ReportedDevice> Devices { get; init; } = [];

    /// <summary>
    /// Whether NVLinks connect each pair of devices; null: it is one device, or it is not known.
    /// </summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public bool? NvLinked { get; init; }

    /// <summary>Why the devices are not known; null: they are.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Error { get; init; }

    /// <summary>Parses the header. Returns null if it is not valid.</summary>
    public static DeviceReport? Parse(string header)
    {
        if (header.Length > MaxLength) return null;
        try
        {
            var report = JsonSerializer.Deserialize(header, DeviceReportJson.Default.DeviceReport);
            return report?.Devices is { Count: <= MaxDevices } devices && devices.All(IsPrintable)
                && IsPrintable(report.Error)
                ? report : null;
        }
        catch (JsonException)
        {
            return null;
        }
    }

    /// <summary>Operators read these texts in logs and on screens, and a worker may be any program.</summary>
    private static bool IsPrintable(ReportedDevice? device) => device is { Uuid: not null, Name: not null }
        && IsPrintable(device.Uuid) && IsPrintable(device.Name) && IsPrintable(device.Driver);

    private static bool IsPrintable(string? text) =>
        text is null || (text.Length <= MaxText && !text.Any(char.IsControl));
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(DeviceReport))]
internal sealed partial class DeviceReportJson : JsonSerializerContext;
