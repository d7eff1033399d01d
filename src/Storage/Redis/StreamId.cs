using System.Globalization;

namespace Sluice.Storage.Redis;

/// <summary>Ids of entries of Redis streams: <c>1764460800000-0</c>, the ms of Redis and a number.</summary>
public static class StreamId
{
    private const int MaxLength = 40;

    /// <summary>Whether a text of a client has the form of an id.</summary>
    public static bool IsId(string text) => text.Length <= MaxLength && text.Split('-') is [var ms, var number]
        && ulong.TryParse(ms, NumberStyles.None, CultureInfo.InvariantCulture, out _)
        && ulong.TryParse(number, NumberStyles.None, CultureInfo.InvariantCulture, out _);
}
