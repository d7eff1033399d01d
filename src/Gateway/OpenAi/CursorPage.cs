using System.Globalization;
using Sluice.Gateway.Http;

namespace Sluice.Gateway.OpenAi;

/// <summary>The requested part of a list, as in OpenAI's API: <c>?after=ID&amp;limit=N</c>.</summary>
/// <param name="After">The id after which the page begins; null: at the start of the list.</param>
/// <param name="Limit">The most items of the page.</param>
internal readonly record struct CursorPage(string? After, int Limit)
{
    /// <summary>Reads both values. Null: an error response was written.</summary>
    /// <param name="context">The request.</param>
    /// <param name="defaultLimit">The limit of a request that names none.</param>
    /// <param name="maxLimit">The highest limit.</param>
    public static async Task<CursorPage?> ReadAsync(HttpContext context, int defaultLimit, int maxLimit)
    {
        var after = context.Request.Query["after"] is [{ Length: > 0 } id] ? id : null;
        if (context.Request.Query["limit"] is not [{ Length: > 0 } text]) return new CursorPage(after, defaultLimit);
        if (int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var n) && n >= 1 && n <= maxLimit)
            return new CursorPage(after, n);
        await Problem.WriteAsync(context, StatusCodes.Status400BadRequest,
            $"limit is '{text}'; expected a whole number from 1 to {maxLimit}.", param: "limit");
        return null;
    }

    /// <summary>
    /// Returns the items of the page, and whether more follow. Null: no item has the id of the cursor.
    /// </summary>
    public (IReadOnlyList<T> Items, bool HasMore)? Select<T>(IReadOnlyList<T> all, Func<T, string> id)
    {
        var from = 0;
        if (After is { } cursor)
        {
            while (from < all.Count && id(all[from]) != cursor) from++;
            if (from++ == all.Count) return null;
        }

        return ([.. all.Skip(from).Take(Limit)], all.Count - from > Limit);
    }

    /// <summary>Writes the error for a cursor that is not in the list.</summary>
    public Task WriteUnknownAsync(HttpContext context) => Problem.WriteAsync(context,
        StatusCodes.Status400BadRequest, $"after is '{After}'; expected the id of an item of the list.",
        param: "after");
}
