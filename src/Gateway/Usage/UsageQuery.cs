using System.Globalization;
using Sluice.Domain.Usage;
using Sluice.Gateway.Http;

namespace Sluice.Gateway.Usage;

/// <summary>By what a report is grouped.</summary>
public enum UsageGroup
{
    /// <summary>By API key.</summary>
    Key,

    /// <summary>By endpoint.</summary>
    Endpoint,

    /// <summary>By model.</summary>
    Model,

    /// <summary>By tag of the API key, <c>name=value</c>. A key with two tags is in two groups.</summary>
    Tag,
}

/// <summary>The parameters of <c>GET /api/v1/usage</c>.</summary>
/// <param name="GroupBy">By what the report is grouped.</param>
/// <param name="Step">The steps of time.</param>
/// <param name="Since">The begin, at the begin of a step.</param>
/// <param name="Until">The end, exclusive.</param>
/// <param name="IsCsv">Whether the format is CSV.</param>
/// <param name="Endpoint">Only this endpoint; empty: all.</param>
/// <param name="Key">Only this key; empty: all.</param>
public sealed record UsageQuery(UsageGroup GroupBy, UsageStep Step, DateTimeOffset Since, DateTimeOffset Until,
    bool IsCsv, string Endpoint, string Key)
{
    /// <summary>The most steps of a report.</summary>
    public const int MaxSteps = 1000;

    /// <summary>Reads the parameters.</summary>
    /// <param name="query">The query of the request.</param>
    /// <param name="now">The current time.</param>
    /// <returns>The query, or null and the error.</returns>
    public static (UsageQuery? Query, string Error) Read(IQueryCollection query, DateTimeOffset now)
    {
        var (group, step, format) = (query["groupBy"].ToString(), query["step"].ToString(), query["format"].ToString());
        if (!TryChoose(group, UsageGroup.Endpoint, out var groupBy))
            return (null, $"groupBy is '{group}'; expected key, endpoint, model or tag.");
        if (!TryChoose(step, UsageStep.Day, out var steps) || steps == UsageStep.Week)
            return (null, $"step is '{step}'; expected hour, day or month.");
        if (format is not ("" or "json" or "csv")) return (null, $"format is '{format}'; expected json or csv.");
        if (Time(query, "since", UsageStep.Month.Begin(now)) is not { } since)
            return (null, TimeError(query, "since"));
        if (Time(query, "until", now) is not { } until) return (null, TimeError(query, "until"));
        if (until > now.AddDays(1)) return (null, $"until is '{query["until"]}'; expected a time until tomorrow.");
        since = steps.Begin(since);
        if (until <= since) return (null, $"until is '{query["until"]}'; expected a time after since.");
        // Without a limit, one call could read years of hours.
        var longest = steps switch
        {
            UsageStep.Hour => TimeSpan.FromHours(MaxSteps),
            UsageStep.Day => TimeSpan.FromDays(MaxSteps),
            _ => TimeSpan.FromDays(31L * MaxSteps),
        };
        if (until - since > longest)
            return (null, $"step is '{steps.ToString().ToLowerInvariant()}'; expected a larger one, or a later since: "
                + $"a report has at most {MaxSteps} steps.");
        return (new UsageQuery(groupBy, steps, since, until, format == "csv", query["endpoint"].ToString(),
            query["key"].ToString()), "");
    }

    private static bool TryChoose<T>(string text, T fallback, out T value)
        where T : struct, Enum
    {
        value = fallback;
        return text.Length == 0
            || (text.All(char.IsAsciiLetterLower) && Enum.TryParse(text, ignoreCase: true, out value));
    }

    private static DateTimeOffset? Time(IQueryCollection query, string name, DateTimeOffset fallback) =>
        query[name].Count == 0 ? fallback
        : query[name] is [{ } text] && DateTimeOffset.TryParse(
            text, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var time)
            ? time.ToUniversalTime() : null;

    private static string TimeError(IQueryCollection query, string name) =>
        $"{name} is '{query[name]}'; expected a time like 2026-11-30T00:00:00Z.";
}
