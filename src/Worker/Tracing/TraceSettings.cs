using System.Globalization;
using System.Text.Json;
using Sluice.Worker.Api;

namespace Sluice.Worker.Tracing;

/// <summary>Specifies which requests are traced and how traces are written.</summary>
/// <param name="Timestamps">Whether requests are traced.</param>
/// <param name="Rate">Number of requests of which one is traced.</param>
/// <param name="Count">Maximum number of traces; -1: unlimited.</param>
/// <param name="Frequency">Number of traces that are written together; 0: each trace is written separately.</param>
internal readonly record struct TraceSettings(bool Timestamps, int Rate, int Count, int Frequency)
{
    /// <summary>Triton's defaults.</summary>
    public static readonly TraceSettings Default = new(false, 1000, -1, 0);

    /// <summary>Writes the settings as a JSON object.</summary>
    /// <param name="json">The writer.</param>
    /// <param name="left">Remaining number of traces; -1: unlimited.</param>
    public void Write(Utf8JsonWriter json, int left)
    {
        json.WriteStartObject();
        json.WriteStartArray("trace_level");
        json.WriteStringValue(Timestamps ? "TIMESTAMPS" : "OFF");
        json.WriteEndArray();
        json.WriteString("trace_rate", Rate.ToString(CultureInfo.InvariantCulture));
        json.WriteString("trace_count", left.ToString(CultureInfo.InvariantCulture));
        json.WriteString("log_frequency", Frequency.ToString(CultureInfo.InvariantCulture));
        json.WriteString("trace_file", "");
        json.WriteEndObject();
    }
}

/// <summary>
/// The trace settings that were changed for all models or for one model. Null: the setting of the next lower level
/// applies. Immutable.
/// </summary>
internal sealed record TraceRequest(bool? Timestamps = null, int? Rate = null, int? Count = null, int? Frequency = null)
{
    /// <summary>No setting was changed.</summary>
    public static readonly TraceRequest None = new();

    /// <summary>Maximum number of traces that are stored to be written together.</summary>
    private const int MaxFrequency = 1000;

    /// <summary>Applies the changed settings to the settings of the lower level.</summary>
    public TraceSettings ApplyTo(TraceSettings below) =>
        new(Timestamps ?? below.Timestamps, Rate ?? below.Rate, Count ?? below.Count, Frequency ?? below.Frequency);

    /// <summary>
    /// Returns these settings with the changes of a request. A field with the value null resets a setting.
    /// </summary>
    /// <exception cref="Runtime.InvalidRequestException">
    /// A field is invalid. In this case no change of the request is applied.
    /// </exception>
    public TraceRequest With(JsonElement fields)
    {
        var now = this;
        foreach (var field in SettingFields.Enumerate(fields))
            now = field.Name switch
            {
                "trace_level" => now with { Timestamps = IsNull(field) ? null : ReadLevel(field) },
                "trace_rate" => now with { Rate = IsNull(field) ? null : field.ReadNumber(1, int.MaxValue) },
                "trace_count" => now with { Count = IsNull(field) ? null : field.ReadNumber(-1, int.MaxValue) },
                "log_frequency" => now with { Frequency = IsNull(field) ? null : field.ReadNumber(0, MaxFrequency) },
                "trace_file" => IsNullOrEmpty(field)
                    ? now
                    : throw field.InvalidValue(
                        "\"\": a worker writes traces to its log, one line for each, and not to a file"),
                _ => throw field.UnknownField("trace_level, trace_rate, trace_count, log_frequency, trace_file"),
            };
        return now;
    }

    /// <summary>Reads the trace level: a string or, as in Triton, a list with one string.</summary>
    private static bool ReadLevel(SettingField field)
    {
        var isList = field.Value.ValueKind == JsonValueKind.Array && field.Value.GetArrayLength() == 1;
        var level = isList ? field.Value[0] : field.Value;
        return (level.ValueKind == JsonValueKind.String ? level.GetString() : "") switch
        {
            "OFF" => false,
            "TIMESTAMPS" => true,
            "TENSORS" => throw field.InvalidValue(
                "OFF or TIMESTAMPS: tensors are not traced, because the log must not contain client data"),
            _ => throw field.InvalidValue("[\"OFF\"] or [\"TIMESTAMPS\"]"),
        };
    }

    private static bool IsNull(SettingField field) => field.Value.ValueKind == JsonValueKind.Null;

    private static bool IsNullOrEmpty(SettingField field) =>
        IsNull(field) || (field.Value.ValueKind == JsonValueKind.String && field.Value.GetString() == "");
}
