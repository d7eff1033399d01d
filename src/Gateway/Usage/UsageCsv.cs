using System.Globalization;
using System.Text;

namespace Sluice.Gateway.Usage;

/// <summary>Writes a report as CSV (RFC 4180), one line for each step and group. Pure.</summary>
public static class UsageCsv
{
    private const string Header = "at,group,requests,errors,completed,failed,cancelled,timedOut,bytesIn,bytesOut,"
        + "promptTokens,cachedTokens,generatedTokens,wastedTokens,coldStarts,startingSeconds,busySeconds,idleSeconds,"
        + "cost,unpricedSeconds";

    /// <summary>Returns the text.</summary>
    public static string Write(IEnumerable<UsageView> usage)
    {
        var text = new StringBuilder(Header).Append("\r\n");
        foreach (var u in usage)
        {
            text.Append(CultureInfo.InvariantCulture, $"{u.At:yyyy-MM-ddTHH:mm:ssZ},{Quote(u.Group ?? "")},")
                .Append(CultureInfo.InvariantCulture, $"{u.Requests},{u.Errors},")
                .Append(CultureInfo.InvariantCulture, $"{u.Jobs.Completed},{u.Jobs.Failed},{u.Jobs.Cancelled},")
                .Append(CultureInfo.InvariantCulture, $"{u.Jobs.TimedOut},{u.BytesIn},{u.BytesOut},")
                .Append(CultureInfo.InvariantCulture, $"{u.Tokens.Prompt},{u.Tokens.Cached},{u.Tokens.Generated},")
                .Append(CultureInfo.InvariantCulture, $"{u.Tokens.Wasted},{u.ColdStarts},{u.WorkerSeconds.Starting},")
                .Append(CultureInfo.InvariantCulture, $"{u.WorkerSeconds.Busy},{u.WorkerSeconds.Idle},")
                .Append(CultureInfo.InvariantCulture, $"{u.Cost:0.######},{u.UnpricedSeconds}\r\n");
        }

        return text.ToString();
    }

    /// <summary>
    /// Quotes a field. A spreadsheet would run a field that begins with =, +, - or @ as a formula, so it gets an
    /// apostrophe.
    /// </summary>
    private static string Quote(string field)
    {
        if (field.Length > 0 && field[0] is '=' or '+' or '-' or '@' or '\t' or '\r') field = "'" + field;
        return field.AsSpan().IndexOfAny(",\"\r\n") < 0
            ? field
            : $"\"{field.Replace("\"", "\"\"", StringComparison.Ordinal)}\"";
    }
}
