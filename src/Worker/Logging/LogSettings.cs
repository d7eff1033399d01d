using System.Globalization;
using System.Text.Json;
using Microsoft.Extensions.Logging;
using Sluice.Worker.Api;

namespace Sluice.Worker.Logging;

/// <summary>What the worker logs, as Triton's logging extension names it. Pure, and replaced whole.</summary>
internal sealed record LogSettings
{
    /// <summary>Lines about what the worker does.</summary>
    public bool Info { get; init; } = true;

    public bool Warning { get; init; } = true;

    public bool Error { get; init; } = true;

    /// <summary>0: nothing more; 1: a line a request; 2 and above: what Kestrel says, too.</summary>
    public int Verbose { get; init; }

    /// <summary>Times with their date, as ISO 8601 writes them; else the time of the day.</summary>
    public bool Iso8601 { get; init; }

    /// <summary>Whether a line of this level is written.</summary>
    public bool Logs(LogLevel level) => level switch
    {
        LogLevel.Trace => Verbose >= 2,
        LogLevel.Debug => Verbose >= 1,
        LogLevel.Information => Info,
        LogLevel.Warning => Warning,
        LogLevel.Error or LogLevel.Critical => Error,
        _ => false,
    };

    /// <summary>The time of a line.</summary>
    public string Stamp(DateTimeOffset now) =>
        now.UtcDateTime.ToString(Iso8601 ? "yyyy-MM-ddTHH:mm:ss.fffZ" : "HH:mm:ss.fff", CultureInfo.InvariantCulture);

    /// <summary>These settings with what the fields say; throws when one is wrong, and then nothing counts.</summary>
    public LogSettings With(JsonElement fields)
    {
        var now = this;
        foreach (var field in SettingFields.Of(fields))
            now = field.Name switch
            {
                "log_info" => now with { Info = field.Bool() },
                "log_warning" => now with { Warning = field.Bool() },
                "log_error" => now with { Error = field.Bool() },
                "log_verbose_level" => now with { Verbose = field.Number(0, int.MaxValue) },
                "log_format" => now with { Iso8601 = field.Choice("default", "ISO8601") == "ISO8601" },
                "log_file" => field.Value is { ValueKind: JsonValueKind.String } file && file.GetString() == "" ? now
                    : throw field.Wrong("\"\": a worker's log goes to its output, which the gateway keeps, and to no file"),
                _ => throw field.Unknown("log_file, log_info, log_warning, log_error, log_verbose_level, log_format"),
            };
        return now;
    }

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
