using System.Globalization;
using System.Text.Json;
using Sluice.Worker.Api;

namespace Sluice.Worker.Tracing;

/// <summary>Which requests are traced, and how traces are written.</summary>
/// <param name="Timestamps">Traces are made.</param>
/// <param name="Rate">Of so many requests one is traced.</param>
/// <param name="Count">So many traces are made; -1: without end.</param>
/// <param name="Frequency">Traces that are written together; 0: each by itself.</param>
internal readonly record struct TraceSettings(bool Timestamps, int Rate, int Count, int Frequency)
{
    /// <summary>Triton's defaults.</summary>
    public static readonly TraceSettings Default = new(false, 1000, -1, 0);

    /// <param name="json">Where to.</param>
    /// <param name="left">Traces that will still be made.</param>
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

/// <summary>What was set of them, for all models or for one; null: what stands below counts. Pure, and replaced whole.</summary>
internal sealed record TraceWish(bool? Timestamps = null, int? Rate = null, int? Count = null, int? Frequency = null)
{
    public static readonly TraceWish Nothing = new();

    /// <summary>Most traces that wait to be written together.</summary>
    private const int MaxFrequency = 1000;

    public TraceSettings Over(TraceSettings below) =>
        new(Timestamps ?? below.Timestamps, Rate ?? below.Rate, Count ?? below.Count, Frequency ?? below.Frequency);

    /// <summary>This with what the fields say, null taking a setting back; throws when one is wrong, and then nothing counts.</summary>
    public TraceWish With(JsonElement fields)
    {
        var now = this;
        foreach (var field in SettingFields.Of(fields))
            now = field.Name switch
            {
                "trace_level" => now with { Timestamps = Null(field) ? null : Level(field) },
                "trace_rate" => now with { Rate = Null(field) ? null : field.Number(1, int.MaxValue) },
                "trace_count" => now with { Count = Null(field) ? null : field.Number(-1, int.MaxValue) },
                "log_frequency" => now with { Frequency = Null(field) ? null : field.Number(0, MaxFrequency) },
                "trace_file" => Null(field) || (field.Value.ValueKind == JsonValueKind.String && field.Value.GetString() == "") ? now
                    : throw field.Wrong("\"\": traces go to the worker's log, a line each, and to no file"),
                _ => throw field.Unknown("trace_level, trace_rate, trace_count, log_frequency, trace_file"),
            };
        return now;
    }

    /// <summary>A text or, as Triton has it, a list of them.</summary>
    private static bool Level(SettingField field)
    {
        var one = field.Value.ValueKind == JsonValueKind.Array && field.Value.GetArrayLength() == 1 ? field.Value[0] : field.Value;
        return (one.ValueKind == JsonValueKind.String ? one.GetString() : "") switch
        {
            "OFF" => false,
            "TIMESTAMPS" => true,
            "TENSORS" => throw field.Wrong("OFF or TIMESTAMPS: tensors are not traced, what clients send does not go into a log"),
            _ => throw field.Wrong("[\"OFF\"] or [\"TIMESTAMPS\"]"),
        };
    }

    private static bool Null(SettingField field) => field.Value.ValueKind == JsonValueKind.Null;
}
