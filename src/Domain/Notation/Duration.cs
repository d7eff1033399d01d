using System.Globalization;
using System.Text.RegularExpressions;

namespace Sluice.Domain.Notation;

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
