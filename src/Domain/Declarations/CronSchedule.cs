using System.Collections.Concurrent;
using System.Globalization;

namespace Sluice.Domain.Declarations;

/// <summary>
/// A cron expression of five fields (minute, hour, day of month, month, day of week) in a time zone. Each field is
/// <c>*</c>, a number, a range <c>1-5</c>, a step <c>*/15</c> or <c>8-18/2</c>, or a list of these. Months and days of
/// the week can be names (<c>JAN</c>, <c>MON</c>). Sunday is 0 or 7. As in Vixie cron, if both day fields are
/// restricted, one match is sufficient. A time that daylight saving time skips starts after the skipped interval. A
/// time that occurs twice starts at its first occurrence.
/// </summary>
public sealed class CronSchedule
{
    /// <summary>The expected form of an expression, for error messages.</summary>
    public const string Expected = "minute hour day-of-month month day-of-week, like \"0 8 * * MON-FRI\"";

    private static readonly string[] Months =
        ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];

    private static readonly string[] Weekdays = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

    // There are few declarations, and each is evaluated every second.
    private static readonly ConcurrentDictionary<(string Cron, string Zone), CronSchedule?> Parsed = [];

    private readonly ulong minutes;
    private readonly ulong hours;
    private readonly ulong days;
    private readonly ulong months;
    private readonly ulong weekdays;
    private readonly bool eitherDay;
    private readonly TimeZoneInfo zone;

    private CronSchedule(ulong[] fields, bool eitherDay, TimeZoneInfo zone)
    {
        minutes = fields[0];
        hours = fields[1];
        days = fields[2];
        months = fields[3];
        // 7 is another form of Sunday.
        weekdays = (fields[4] & (1UL << 7)) != 0 ? fields[4] | 1 : fields[4];
        this.eitherDay = eitherDay;
        this.zone = zone;
    }

    /// <summary>Parses an expression.</summary>
    /// <param name="cron">The five fields, separated by spaces.</param>
    /// <param name="timeZone">The IANA name of the time zone.</param>
    /// <returns>Null if the expression is invalid or this machine does not know the time zone.</returns>
    public static CronSchedule? Parse(string cron, string timeZone)
    {
        var fields = cron.Split(' ', StringSplitOptions.RemoveEmptyEntries);
        if (fields.Length != 5 || !TimeZoneInfo.TryFindSystemTimeZoneById(timeZone, out var zone)) return null;
        ulong?[] sets =
        [
            Field(fields[0], 0, 59, []), Field(fields[1], 0, 23, []), Field(fields[2], 1, 31, []),
            Field(fields[3], 1, 12, Months), Field(fields[4], 0, 7, Weekdays),
        ];
        if (sets.Contains(null)) return null;
        var eitherDay = fields[2][0] != '*' && fields[4][0] != '*';
        return new CronSchedule([.. sets.Select(s => s!.Value)], eitherDay, zone);
    }

    /// <summary>Returns the cached result of <see cref="Parse"/>.</summary>
    public static CronSchedule? GetOrParse(string cron, string timeZone) =>
        Parsed.GetOrAdd((cron, timeZone), key => Parse(key.Cron, key.Zone));

    /// <summary>
    /// Whether the latest matching time that is not after <paramref name="now"/> is less than
    /// <paramref name="length"/> ago.
    /// </summary>
    public bool Covers(DateTimeOffset now, TimeSpan length)
    {
        var last = TimeZoneInfo.ConvertTime(now, zone);
        // Searches one extra day, because a skipped time starts later than the expression says.
        for (var day = last.Date; day >= (last.DateTime - length).Date.AddDays(-1); day = day.AddDays(-1))
        {
            if (!OnDay(day)) continue;
            for (var hour = 23; hour >= 0; hour--)
            {
                if ((hours & (1UL << hour)) == 0) continue;
                for (var minute = 59; minute >= 0; minute--)
                {
                    if ((minutes & (1UL << minute)) == 0) continue;
                    var begins = Instant(day.AddHours(hour).AddMinutes(minute));
                    if (begins > now) continue;
                    // Only the latest time that is not in the future is relevant.
                    return now - begins < length;
                }
            }
        }

        return false;
    }

    private bool OnDay(DateTime day)
    {
        if ((months & (1UL << day.Month)) == 0) return false;
        var ofMonth = (days & (1UL << day.Day)) != 0;
        var ofWeek = (weekdays & (1UL << (int)day.DayOfWeek)) != 0;
        return eitherDay ? ofMonth || ofWeek : ofMonth && ofWeek;
    }

    private DateTimeOffset Instant(DateTime local)
    {
        while (zone.IsInvalidTime(local)) local = local.AddMinutes(1);
        var offset = zone.IsAmbiguousTime(local) ? zone.GetAmbiguousTimeOffsets(local).Max() : zone.GetUtcOffset(local);
        return new DateTimeOffset(local, offset);
    }

    /// <summary>Parses one field to a bit set of its numbers. Returns null if the field is invalid.</summary>
    private static ulong? Field(string text, int least, int most, string[] names)
    {
        var set = 0UL;
        foreach (var part in text.Split(','))
        {
            var halves = part.Split('/');
            var step = 1;
            if (halves.Length > 2 || (halves.Length == 2 && !TryParseStep(halves[1], out step))) return null;
            var ends = halves[0].Split('-');
            if (ends.Length > 2) return null;
            var (from, to) = halves[0] == "*"
                ? (least, most)
                : (Number(ends[0], least, names), Number(ends[^1], least, names));
            // "5/15" matches every fifteenth number from 5.
            if (halves.Length == 2 && ends.Length == 1 && halves[0] != "*") to = most;
            if (from < least || to > most || from > to) return null;
            for (var n = from; n <= to; n += step) set |= 1UL << n;
        }

        return set;
    }

    private static bool TryParseStep(string text, out int step) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out step) && step > 0;

    private static int Number(string text, int least, string[] names)
    {
        var name = Array.FindIndex(names, n => n.Equals(text, StringComparison.OrdinalIgnoreCase));
        if (name >= 0) return name + least;
        return int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var n) ? n : -1;
    }
}
