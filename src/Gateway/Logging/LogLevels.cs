using System.Text.Json;
using System.Text.Json.Nodes;
using Sluice.Domain.Declarations;

namespace Sluice.Gateway.Logging;

/// <summary>The log levels that an operator has set while the gateways run. Immutable.</summary>
/// <param name="Level">The level of all categories; null: that of SLUICE_LOG_LEVEL.</param>
/// <param name="Categories">Levels of single categories, and of those that begin with them.</param>
public sealed record LogLevels(LogLevel? Level, IReadOnlyDictionary<string, LogLevel> Categories)
{
    /// <summary>Nothing is set.</summary>
    public static readonly LogLevels None = new(null, new Dictionary<string, LogLevel>());

    /// <summary>The most categories with their own level.</summary>
    private const int MaxCategories = 50;

    private const int MaxCategory = 200;

    /// <summary>
    /// Categories that are quieter than the level, unless it is Debug or Trace. Yarp: the gateway logs a lost worker
    /// itself, once, with the endpoint id.
    /// </summary>
    private static readonly (string Category, LogLevel Level)[] Quiet =
    [
        ("Microsoft", LogLevel.Warning), ("Yarp", LogLevel.Error), ("System.Net.Http", LogLevel.Warning),
    ];

    /// <summary>
    /// It logs whole URLs, which may contain the ticket of a WebSocket. With this logger enabled, ASP.NET Core creates
    /// an Activity and a log scope per request, and the HTTP client creates another Activity. Together they take 40 %
    /// of the gateway's time for a small request.
    /// </summary>
    private const string NeverLogged = "Microsoft.AspNetCore.Hosting.Diagnostics";

    /// <summary>Sets the rules of the loggers.</summary>
    /// <param name="options">The rules.</param>
    /// <param name="setting">The level of SLUICE_LOG_LEVEL.</param>
    public void Configure(LoggerFilterOptions options, LogLevel setting)
    {
        options.MinLevel = Level ?? setting;
        if (options.MinLevel >= LogLevel.Information)
            foreach (var (category, level) in Quiet) Add(category, level);
        // The last one of equal rules applies.
        foreach (var (category, level) in Categories) Add(category, level);
        Add(NeverLogged, LogLevel.None);

        void Add(string category, LogLevel level) =>
            options.Rules.Add(new LoggerFilterRule(null, category, level, null));
    }

    /// <summary>Reads the fields <c>level</c> and <c>categories</c> of a JSON object.</summary>
    /// <param name="given">The object.</param>
    /// <param name="errors">Receives each invalid field.</param>
    public static LogLevels Read(JsonObject given, List<FieldError> errors)
    {
        LogLevel? level = null;
        if (given["level"] is { } node && (level = ReadLevel(node)) is null)
            errors.Add(new FieldError("level", node.ToJsonString(), Expected));
        var categories = new Dictionary<string, LogLevel>(StringComparer.Ordinal);
        if (given["categories"] is JsonObject { Count: <= MaxCategories } all)
            foreach (var (name, value) in all)
                if (!IsCategory(name))
                    errors.Add(new FieldError("categories", name,
                        $"names of categories, at most {MaxCategory} letters, digits, '.' and '_'"));
                else if (ReadLevel(value) is { } own) categories[name] = own;
                else errors.Add(new FieldError($"categories.{name}", value?.ToJsonString() ?? "null", Expected));
        else if (given["categories"] is { } other)
            errors.Add(new FieldError("categories", other.ToJsonString(),
                $"an object with at most {MaxCategories} levels by category"));
        return new LogLevels(level, categories);
    }

    /// <summary>Reads stored levels. Text that another build stored and this one cannot read sets nothing.</summary>
    public static LogLevels Parse(string? json)
    {
        if (json is null) return None;
        try
        {
            var errors = new List<FieldError>();
            var levels = JsonNode.Parse(json) is JsonObject stored ? Read(stored, errors) : None;
            return errors.Count == 0 ? levels : None;
        }
        catch (JsonException)
        {
            return None;
        }
    }

    /// <summary>Returns the levels as a JSON object.</summary>
    public JsonObject ToJson()
    {
        var categories = new JsonObject();
        foreach (var (name, level) in Categories) categories[name] = level.ToString();
        return new JsonObject { ["level"] = Level?.ToString(), ["categories"] = categories };
    }

    /// <summary>The valid levels, for error messages.</summary>
    private static string Expected => string.Join(", ", Enum.GetNames<LogLevel>());

    private static LogLevel? ReadLevel(JsonNode? node) =>
        node is JsonValue value && value.TryGetValue<string>(out var text) && text.Length > 0
        && char.IsAsciiLetter(text[0]) && Enum.TryParse<LogLevel>(text, ignoreCase: true, out var level) ? level : null;

    private static bool IsCategory(string name) => name.Length is > 0 and <= MaxCategory
        && name.All(c => char.IsAsciiLetterOrDigit(c) || c is '.' or '_');
}
