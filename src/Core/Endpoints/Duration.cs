using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.RegularExpressions;

namespace Sluice.Core.Endpoints;

/// <summary>
/// Parses and formats durations such as <c>250ms</c>, <c>60s</c>, <c>5m</c>, <c>1h30m</c>, <c>2d</c>.
/// </summary>
public static partial class Duration
{
    /// <summary>The expected form of a duration, for error messages.</summary>
    public const string Expected = "a duration like 250ms, 60s, 5m or 1h30m";

    public static bool TryParse(string text, out TimeSpan value)
    {
        value = TimeSpan.Zero;
        if (!Form().IsMatch(text)) return false;
        foreach (Match part in Part().Matches(text))
        {
            if (!double.TryParse(part.Groups[1].ValueSpan, CultureInfo.InvariantCulture, out var n) || n > 1e9)
                return false;
            value += part.Groups[2].Value switch
            {
                "ms" => TimeSpan.FromMilliseconds(n),
                "s" => TimeSpan.FromSeconds(n),
                "m" => TimeSpan.FromMinutes(n),
                "h" => TimeSpan.FromHours(n),
                _ => TimeSpan.FromDays(n),
            };
        }

        return true;
    }

    public static string Format(TimeSpan value)
    {
        if (value == TimeSpan.Zero) return "0s";
        var text = "";
        if (value.Days > 0) text += $"{value.Days}d";
        if (value.Hours > 0) text += $"{value.Hours}h";
        if (value.Minutes > 0) text += $"{value.Minutes}m";
        if (value.Seconds > 0) text += $"{value.Seconds}s";
        if (value.Milliseconds > 0) text += $"{value.Milliseconds}ms";
        return text;
    }

    [GeneratedRegex(@"^(\d+(\.\d+)?(ms|s|m|h|d))+\z")]
    private static partial Regex Form();

    [GeneratedRegex(@"(\d+(?:\.\d+)?)(ms|s|m|h|d)")]
    private static partial Regex Part();
}

/// <summary>Converts durations from and to JSON and YAML.</summary>
public sealed class DurationConverter : JsonConverter<TimeSpan>
{
    public override TimeSpan Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
        reader.TokenType == JsonTokenType.String && Duration.TryParse(reader.GetString()!, out var value)
            ? value : throw new JsonException(Duration.Expected);

    public override void Write(Utf8JsonWriter writer, TimeSpan value, JsonSerializerOptions options) =>
        writer.WriteStringValue(Duration.Format(value));
}

/// <summary>
/// Converts sizes from and to JSON and YAML: a number of bytes, or <c>64MiB</c>, <c>512KiB</c>, <c>2GiB</c>.
/// </summary>
public sealed class SizeConverter : JsonConverter<long>
{
    /// <summary>The expected form of a size, for error messages.</summary>
    public const string Expected = "a number of bytes, or a size like 512KiB, 64MiB or 2GiB";

    private static readonly (string Unit, int Shift)[] Units = [("KiB", 10), ("MiB", 20), ("GiB", 30)];

    public override long Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options)
    {
        if (reader.TokenType == JsonTokenType.Number && reader.TryGetInt64(out var bytes)) return bytes;
        if (reader.TokenType == JsonTokenType.String)
        {
            var text = reader.GetString()!;
            foreach (var (unit, shift) in Units)
                if (text.EndsWith(unit, StringComparison.Ordinal) && long.TryParse(text[..^3].Trim(),
                    NumberStyles.None, CultureInfo.InvariantCulture, out var n) && n < 1L << (62 - shift))
                    return n << shift;
        }

        throw new JsonException(Expected);
    }

    public override void Write(Utf8JsonWriter writer, long value, JsonSerializerOptions options) =>
        writer.WriteNumberValue(value);
}

/// <summary>
/// Converts enum values from and to the names that operators use: <c>REQUEST_COUNT</c>, <c>h2c</c>. Case is ignored,
/// and a dash equals an underscore.
/// </summary>
public abstract class NamedConverter<T>(params (string Name, T Value)[] names) : JsonConverter<T>
    where T : struct, Enum
{
    public override T Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options)
    {
        if (reader.TokenType == JsonTokenType.String)
        {
            var given = reader.GetString()!.Replace('-', '_');
            foreach (var (name, value) in names)
                if (name.Equals(given, StringComparison.OrdinalIgnoreCase)) return value;
        }

        throw new JsonException("one of " + string.Join(", ", names.Select(n => n.Name)));
    }

    public override void Write(Utf8JsonWriter writer, T value, JsonSerializerOptions options) =>
        writer.WriteStringValue(names.First(n => n.Value.Equals(value)).Name);
}

public sealed class ScalerConverter()
    : NamedConverter<Scaler>(
        ("SLO", Scaler.Slo), ("REQUEST_COUNT", Scaler.RequestCount), ("QUEUE_DELAY", Scaler.QueueDelay),
        ("CONCURRENCY", Scaler.Concurrency));

public sealed class PauseConverter()
    : NamedConverter<Pause>(("NONE", Pause.None), ("QUEUE", Pause.Queue), ("REFUSE", Pause.Refuse));

public sealed class ProtocolConverter()
    : NamedConverter<WorkerProtocol>(("h2c", WorkerProtocol.H2c), ("http1", WorkerProtocol.Http1));

public sealed class PullPolicyConverter()
    : NamedConverter<PullPolicy>(
        ("missing", PullPolicy.Missing), ("always", PullPolicy.Always), ("never", PullPolicy.Never));

/// <summary>Converts environment variables from and to JSON. Values may also be numbers or booleans.</summary>
public sealed class EnvConverter : JsonConverter<IReadOnlyDictionary<string, string>>
{
    public override IReadOnlyDictionary<string, string> Read(
        ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options)
    {
        if (reader.TokenType != JsonTokenType.StartObject) throw new JsonException("an object of names and values");
        var env = new SortedDictionary<string, string>(StringComparer.Ordinal);
        while (reader.Read() && reader.TokenType != JsonTokenType.EndObject)
        {
            var name = reader.GetString()!;
            reader.Read();
            env[name] = reader.TokenType switch
            {
                JsonTokenType.String => reader.GetString()!,
                JsonTokenType.Number => System.Text.Encoding.UTF8.GetString(reader.ValueSpan),
                JsonTokenType.True => "true",
                JsonTokenType.False => "false",
                _ => throw new JsonException("a string"),
            };
        }

        return env;
    }

    public override void Write(Utf8JsonWriter writer, IReadOnlyDictionary<string, string> value,
        JsonSerializerOptions options)
    {
        writer.WriteStartObject();
        foreach (var (name, text) in value) writer.WriteString(name, text);
        writer.WriteEndObject();
    }
}
