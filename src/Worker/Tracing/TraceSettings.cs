using System.Globalization;
using System.Text.Json;

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
