using System.Collections.Concurrent;
using System.Globalization;
using System.Text.RegularExpressions;
using Cronos;

namespace Sluice.Domain.Declarations;

/// <summary>
/// A cron expression of five fields (minute, hour, day of month, month, day of week) in a time zone, evaluated by
/// Cronos. Months and days of the week can be names (<c>JAN</c>, <c>MON</c>). Sunday is 0 or 7. A time that daylight
/// saving time skips starts after the skipped interval. A time that occurs twice starts at its first occurrence, unless
/// minute or hour is an interval (<c>*</c>, a range or a step).
/// </summary>
public sealed partial class CronSchedule
{
    /// <summary>The expected form of an expression, for error messages.</summary>
    public const string Expected =
        "minute hour day-of-month month day-of-week that match a date, in at most 256 characters, "
        + "like \"0 8 * * MON-FRI\"";

    /// <summary>The rule about the two day fields, for error messages.</summary>
    public const string ExpectedDays = "* as day of month or as day of week; to match either day, use two schedules";

    /// <summary>
    /// Maximum length of an expression, in characters. Cronos 0.13 parses a list recursively: a list of 200,000 items
    /// overflows the stack and ends the process.
    /// </summary>
    public const int MaxLength = 256;

    /// <summary>A time after which every expression that matches at all has a match within 28 years.</summary>
    private static readonly DateTimeOffset Start = new(2000, 1, 1, 0, 0, 0, TimeSpan.Zero);

    /// <summary>
    /// Maximum number of cached expressions. Each is evaluated every second, but expressions of deleted declarations
    /// and of rejected requests must not stay in memory.
    /// </summary>
    internal const int MaxCached = 1024;

    private static readonly ConcurrentDictionary<(string Cron, string Zone), CronSchedule?> Parsed = [];

    private readonly CronExpression expression;
    private readonly TimeZoneInfo zone;

    private CronSchedule(CronExpression expression, TimeZoneInfo zone)
    {
        this.expression = expression;
        this.zone = zone;
    }

    /// <summary>Parses an expression.</summary>
    /// <param name="cron">The five fields, separated by spaces.</param>
    /// <param name="timeZone">The IANA name of the time zone.</param>
    /// <returns>
    /// Null if the expression is invalid, longer than <see cref="MaxLength"/> or never matches (February 30), or if
    /// this machine does not know the time zone.
    /// </returns>
    public static CronSchedule? Parse(string cron, string timeZone)
    {
        if (cron.Length > MaxLength) return null;
        // The number of fields excludes macros of Cronos, like @daily.
        if (Fields(cron).Length != 5 || RestrictsBothDays(cron) || NumberRanges().Matches(cron).Any(IsReversed))
            return null;
        return TimeZoneInfo.TryFindSystemTimeZoneById(timeZone, out var zone)
            && CronExpression.TryParse(cron, CronFormat.Standard, out var expression)
            // Each evaluation of an expression that never matches searches all years: 1.2 ms in a zone with clock
            // changes, in place of 15 us.
            && expression.GetNextOccurrence(Start, TimeZoneInfo.Utc) is not null
            ? new CronSchedule(expression, zone)
            : null;
    }

    /// <summary>Returns the cached result of <see cref="Parse"/>.</summary>
    public static CronSchedule? GetOrParse(string cron, string timeZone)
    {
        if (Parsed.TryGetValue((cron, timeZone), out var known)) return known;
        if (Parsed.Count >= MaxCached) Parsed.Clear();
        return Parsed.GetOrAdd((cron, timeZone), key => Parse(key.Cron, key.Zone));
    }

    /// <summary>The number of cached expressions.</summary>
    internal static int Cached => Parsed.Count;

    /// <summary>
    /// Whether an expression restricts both the day of month and the day of week. This is rejected, because
    /// implementations of cron disagree: in Vixie cron one match is sufficient, in Cronos both fields must match.
    /// </summary>
    public static bool RestrictsBothDays(string cron) =>
        Fields(cron) is [_, _, var dayOfMonth, _, var dayOfWeek] && IsRestricted(dayOfMonth) && IsRestricted(dayOfWeek);

    /// <summary>
    /// Whether the latest matching time that is not after <paramref name="now"/> is less than
    /// <paramref name="length"/> ago.
    /// </summary>
    public bool Covers(DateTimeOffset now, TimeSpan length) =>
        expression.GetPreviousOccurrence(now, zone, inclusive: true) is { } begins && now - begins < length;

    /// <summary>Returns the first matching time after <paramref name="now"/>; null if there is none.</summary>
    public DateTimeOffset? NextAfter(DateTimeOffset now) => expression.GetNextOccurrence(now, zone);

    private static string[] Fields(string cron) => cron.Split(' ', StringSplitOptions.RemoveEmptyEntries);

    private static bool IsRestricted(string dayField) => dayField[0] is not ('*' or '?');

    /// <summary>Whether a range is like "5-1". Cronos wraps such a range, but it is more likely a mistake.</summary>
    private static bool IsReversed(Match range) => Number(range.Groups[1]) > Number(range.Groups[2]);

    private static double Number(Group digits) => double.Parse(digits.Value, CultureInfo.InvariantCulture);

    [GeneratedRegex("([0-9]+)-([0-9]+)", RegexOptions.CultureInvariant)]
    private static partial Regex NumberRanges();
}
