using System.Text.Json;
using Sluice.Worker.Http;
using Sluice.Worker.Tensors;

namespace Sluice.Worker.Tracing;

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
    /// <exception cref="InvalidRequestException">
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
