using System.Globalization;
using System.Text.Json.Nodes;

namespace Sluice.Cli.Output;

/// <summary>Times for people.</summary>
internal static class Age
{
    /// <summary>Returns how long ago a time was, in its largest unit; empty without a time.</summary>
    public static string Of(JsonNode? time, DateTimeOffset now) =>
        DateTimeOffset.TryParse(time?.ToString(), CultureInfo.InvariantCulture, out var at) ? Of(now - at) : "";

    /// <summary>Returns a duration in its largest unit.</summary>
    public static string Of(TimeSpan age) => age.TotalSeconds < 0 ? "0s"
        : age.TotalMinutes < 1 ? $"{(int)age.TotalSeconds}s"
        : age.TotalHours < 1 ? $"{(int)age.TotalMinutes}m"
        : age.TotalDays < 1 ? $"{(int)age.TotalHours}h"
        : $"{(int)age.TotalDays}d";
}
