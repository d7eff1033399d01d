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

    /// <summary>A report of 256 devices has about 45 KB.</summary>
    private const int MaxLength = 60 << 10;
    private const int MaxDevices = 256;
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

    /// <summary>Parses the header. If it is not valid, the result has an <see cref="Error"/> that says why.</summary>
    public static DeviceReport Parse(string header)
    {
        if (header.Length > MaxLength)
            return Invalid($"it has {header.Length} characters; expected at most {MaxLength}");
        try
        {
            var report = JsonSerializer.Deserialize(header, DeviceReportJson.Default.DeviceReport);
            if (report?.Devices is not { } devices) return Invalid("it has no devices");
            if (devices.Count > MaxDevices)
                return Invalid($"it has {devices.Count} devices; expected at most {MaxDevices}");
            return devices.All(IsPrintable) ? report
                : Invalid($"uuid, name and driver must be at most {MaxText} printable characters");
        }
        catch (JsonException e)
        {
            return Invalid(e.Message);
        }
    }

    private static DeviceReport Invalid(string why) => new() { Error = $"the header {Header} is not valid: {why}" };

    /// <summary>Operators read these texts in logs and on screens, and a worker may be any program.</summary>
    private static bool IsPrintable(ReportedDevice? device) => device is { Uuid: not null, Name: not null }
        && IsPrintable(device.Uuid) && IsPrintable(device.Name) && IsPrintable(device.Driver);

    private static bool IsPrintable(string? text) =>
        text is null || (text.Length <= MaxText && !text.Any(char.IsControl));
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(DeviceReport))]
internal sealed partial class DeviceReportJson : JsonSerializerContext;
