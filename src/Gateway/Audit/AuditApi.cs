using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Sluice.Gateway.Authentication;
using Sluice.Gateway.Http;
using Sluice.Storage.Audit;
using Sluice.Storage.Redis;

namespace Sluice.Gateway.Audit;

/// <summary><c>/api/v1/audit</c>: who changed what, and which logins were refused.</summary>
public sealed class AuditApi(AuditStore store)
{
    /// <summary>Entries that one call reads from Redis.</summary>
    private const int Page = 500;

    /// <summary>Maps the routes.</summary>
    public void Map(IEndpointRouteBuilder routes)
    {
        routes.MapRoute("GET", "/api/v1/audit", AccessLevel.Read,
            "List changes, newest first; ?limit=, ?cursor= (next of the previous response), ?since=, ?until=, ?actor= "
            + "(id of a key, or manifest), ?target= (begin of a path); ?format=jsonl writes all of them as JSON lines",
            (HttpContext context) => WriteAsync(
                context, store.ReadChangesAsync, e => e.Id, IsWanted, AuditApiJson.Default.AuditEntry,
                (entries, next) => context.Response.WriteAsJsonAsync(
                    new AuditList(entries, next), context.RequestAborted))).Produces<AuditList>();
        routes.MapRoute("GET", "/api/v1/audit/refused", AccessLevel.Read,
            "List requests that were refused because of their key, newest first; ?limit=, ?cursor=, ?since=, ?until=; "
            + "?format=jsonl writes all of them as JSON lines",
            (HttpContext context) => WriteAsync(
                context, store.ReadRefusalsAsync, e => e.Id, (_, _) => true, AuditApiJson.Default.RefusedLogin,
                (entries, next) => context.Response.WriteAsJsonAsync(
                    new RefusedLoginList(entries, next), context.RequestAborted))).Produces<RefusedLoginList>();
    }

    private static bool IsWanted(IQueryCollection query, AuditEntry entry) =>
        (query["actor"] is not [{ Length: > 0 } actor] || entry.Actor == actor)
        && (query["target"] is not [{ Length: > 0 } target]
            || entry.Target.StartsWith(target, StringComparison.Ordinal));

    private static async Task WriteAsync<T>(
        HttpContext context,
        Func<AuditRange, CancellationToken, Task<IReadOnlyList<T>>> read,
        Func<T, string> idOf,
        Func<IQueryCollection, T, bool> isWanted,
        JsonTypeInfo<T> type,
        Func<IReadOnlyList<T>, string?, Task> answer)
    {
        var query = context.Request.Query;
        var format = query["format"].ToString();
        if (format is not ("" or "json" or "jsonl"))
        {
            await Problem.WriteAsync(
                context, StatusCodes.Status400BadRequest, $"format is '{format}'; expected json or jsonl.");
            return;
        }

        if (await RangeAsync(context) is not { } range) return;
        var limit = format == "jsonl" ? int.MaxValue : range.Limit;
        var (found, isEnd) = (new List<T>(), false);
        while (!isEnd && found.Count < limit)
        {
            var entries = await read(range with { Limit = Page }, context.RequestAborted);
            isEnd = entries.Count < Page;
            if (entries.Count > 0) range = range with { Before = idOf(entries[^1]) };
            found.AddRange(entries.Where(e => isWanted(query, e)));
        }

        if (format == "jsonl")
        {
            await WriteLinesAsync(context, found, type);
            return;
        }

        var more = found.Count > limit || !isEnd;
        if (found.Count > limit) found.RemoveRange(limit, found.Count - limit);
        await answer(found, more && found.Count > 0 ? idOf(found[^1]) : null);
    }

    private static async Task WriteLinesAsync<T>(HttpContext context, IEnumerable<T> entries, JsonTypeInfo<T> type)
    {
        context.Response.ContentType = "application/jsonl";
        foreach (var entry in entries)
        {
            await JsonSerializer.SerializeAsync(context.Response.Body, entry, type, context.RequestAborted);
            await context.Response.Body.WriteAsync("\n"u8.ToArray(), context.RequestAborted);
        }
    }

    /// <summary>Reads the part of the log. Null: an error response was written.</summary>
    private static async Task<AuditRange?> RangeAsync(HttpContext context)
    {
        if (await Paging.LimitAsync(context) is not { } limit) return null;
        var cursor = context.Request.Query["cursor"].ToString();
        if (cursor.Length > 0 && !StreamId.IsId(cursor))
        {
            await Problem.WriteAsync(context, StatusCodes.Status400BadRequest,
                $"cursor is '{cursor}'; expected the value of 'next' in an earlier response.");
            return null;
        }

        if (await TimeAsync(context, "since") is not (true, var since)) return null;
        if (await TimeAsync(context, "until") is not (true, var until)) return null;
        return new AuditRange(limit, cursor.Length > 0 ? cursor : null, since, until);
    }

    private static async Task<(bool IsValid, DateTimeOffset? Time)> TimeAsync(HttpContext context, string name)
    {
        if (context.Request.Query[name] is not [{ Length: > 0 } text]) return (true, null);
        if (DateTimeOffset.TryParse(
            text, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var time)) return (true, time);
        await Problem.WriteAsync(context, StatusCodes.Status400BadRequest,
            $"{name} is '{text}'; expected a time like 2026-11-30T00:00:00Z.");
        return (false, null);
    }
}
