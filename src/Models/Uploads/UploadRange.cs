using System.Globalization;
using System.Text.RegularExpressions;

namespace Sluice.Models.Uploads;

/// <summary>
/// The part of an upload that one request contains, from its <c>Content-Range</c> (RFC 9110, 14.5). Pure.
/// </summary>
/// <param name="From">Offset of its first byte.</param>
/// <param name="Length">Number of its bytes; null: until the end of the body.</param>
/// <param name="Total">Size of the whole upload; null: not known yet.</param>
public readonly partial record struct UploadRange(long From, long? Length, long? Total)
{
    /// <summary>The whole upload in one request.</summary>
    public static UploadRange Whole { get; } = new(0, null, null);

    /// <summary>Whether the request contains the last byte of the upload.</summary>
    public bool IsLast => Length is null || From + Length == Total;

    /// <summary>Parses <c>bytes 0-99/200</c> or <c>bytes 0-99/*</c>. Null: the text has another form.</summary>
    public static UploadRange? Parse(string text)
    {
        var match = Form().Match(text);
        if (!match.Success || !Number(match.Groups[1], out var from) || !Number(match.Groups[2], out var to))
            return null;
        long? total = null;
        if (match.Groups[3].Value != "*")
        {
            if (!Number(match.Groups[3], out var size) || to >= size) return null;
            total = size;
        }

        return to >= from ? new UploadRange(from, to - from + 1, total) : null;
    }

    private static bool Number(Group group, out long number) =>
        long.TryParse(group.Value, NumberStyles.None, CultureInfo.InvariantCulture, out number);

    [GeneratedRegex(@"^bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18}|\*)\z")]
    private static partial Regex Form();
}
