using System.Globalization;

namespace Sluice.Gateway.Http;

/// <summary>The requested part of a list: <c>?offset=</c> and <c>?limit=</c>.</summary>
internal readonly record struct Paging(int Offset, int Limit)
{
    private const int DefaultLimit = 100;
    private const int MaxLimit = 1000;
    private const int MaxOffset = 100_000_000;

    /// <summary>Reads both values. Null: an error response was written.</summary>
    public static async Task<Paging?> ReadAsync(HttpContext context)
    {
        if (Number(context, "offset", 0, 0, MaxOffset) is { } offset
            && Number(context, "limit", DefaultLimit, 1, MaxLimit) is { } limit)
            return new Paging(offset, limit);
        await Problem.WriteAsync(context, StatusCodes.Status400BadRequest,
            $"offset is '{context.Request.Query["offset"]}' and limit is '{context.Request.Query["limit"]}'; "
            + $"expected an offset from 0 to {MaxOffset} and a limit from 1 to {MaxLimit}.");
        return null;
    }

    /// <summary>Reads <c>?limit=</c> of a list with a cursor. Null: an error response was written.</summary>
    public static async Task<int?> LimitAsync(HttpContext context)
    {
        if (Number(context, "limit", DefaultLimit, 1, MaxLimit) is { } limit) return limit;
        await Problem.WriteAsync(context, StatusCodes.Status400BadRequest,
            $"limit is '{context.Request.Query["limit"]}'; expected a whole number from 1 to {MaxLimit}.");
        return null;
    }

    private static int? Number(HttpContext context, string name, int defaultValue, int min, int max)
    {
        if (context.Request.Query[name] is not [{ Length: > 0 } text]) return defaultValue;
        return int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var n) && n >= min
            && n <= max ? n : null;
    }
}
