using System.Globalization;
using System.Text.Json;
using Microsoft.Extensions.Logging;
using Sluice.Worker.Http;
using Sluice.Worker.Tensors;

namespace Sluice.Worker.Logging;

/// <summary>Settings of the worker's log, with the names of Triton's logging extension. Immutable.</summary>
internal sealed record LogSettings
{
    /// <summary>Whether lines of level info are written.</summary>
    public bool Info { get; init; } = true;

    /// <summary>Whether lines of level warning are written.</summary>
    public bool Warning { get; init; } = true;

    /// <summary>Whether lines of level error are written.</summary>
    public bool Error { get; init; } = true;

    /// <summary>0: no additional lines; 1: one line for each request; 2 and above: also the log of Kestrel.</summary>
    public int Verbose { get; init; }

    /// <summary>
    /// Whether times are written in ISO 8601 format, with the date. If not, only the time of day is written.
    /// </summary>
    public bool Iso8601 { get; init; }

    /// <summary>Returns whether lines of a level are written.</summary>
    public bool IsEnabled(LogLevel level) => level switch
    {
        LogLevel.Trace => Verbose >= 2,
        LogLevel.Debug => Verbose >= 1,
        LogLevel.Information => Info,
        LogLevel.Warning => Warning,
        LogLevel.Error or LogLevel.Critical => Error,
        _ => false,
    };

    /// <summary>Formats the time of a line.</summary>
    public string FormatTime(DateTimeOffset now) =>
        now.UtcDateTime.ToString(Iso8601 ? "yyyy-MM-ddTHH:mm:ss.fffZ" : "HH:mm:ss.fff", CultureInfo.InvariantCulture);

    /// <summary>Returns these settings with the changes of a request.</summary>
    /// <exception cref="InvalidRequestException">
    /// A field is invalid. In this case no change of the request is applied.
    /// </exception>
    public LogSettings With(JsonElement fields)
    {
        var now = this;
        foreach (var field in SettingFields.Enumerate(fields))
            now = field.Name switch
            {
                "log_info" => now with { Info = field.ReadBool() },
                "log_warning" => now with { Warning = field.ReadBool() },
                "log_error" => now with { Error = field.ReadBool() },
                "log_verbose_level" => now with { Verbose = field.ReadNumber(0, int.MaxValue) },
                "log_format" => now with { Iso8601 = field.ReadChoice("default", "ISO8601") == "ISO8601" },
                "log_file" => field.Value is { ValueKind: JsonValueKind.String } file && file.GetString() == ""
                    ? now
                    : throw field.InvalidValue(
                        "\"\": a worker writes its log to its output, which the gateway stores, and not to a file"),
                _ => throw field.UnknownField(
                    "log_file, log_info, log_warning, log_error, log_verbose_level, log_format"),
            };
        return now;
    }

    /// <summary>Writes the settings as a JSON object.</summary>
    public void Write(Utf8JsonWriter json)
    {
        json.WriteStartObject();
        json.WriteString("log_file", "");
        json.WriteBoolean("log_info", Info);
        json.WriteBoolean("log_warning", Warning);
        json.WriteBoolean("log_error", Error);
        json.WriteNumber("log_verbose_level", Verbose);
        json.WriteString("log_format", Iso8601 ? "ISO8601" : "default");
        json.WriteEndObject();
    }
}
