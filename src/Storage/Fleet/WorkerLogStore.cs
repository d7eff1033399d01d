using System.Globalization;
using Sluice.Storage.Redis;
using StackExchange.Redis;

namespace Sluice.Storage.Fleet;

/// <summary>
/// Stores what workers wrote, in Redis, so that each gateway can show it, also after the worker and its machine have
/// ended. A worker has at most <see cref="MaxLines"/> lines of at most 500 characters: 0.5 MB, usually 0.1 MB. When
/// Redis is unavailable, methods throw the exceptions that <see cref="RedisErrors"/> identifies.
/// </summary>
public sealed class WorkerLogStore(RedisStore redis, TimeProvider time)
{
    /// <summary>Lines of one worker that are stored; earlier ones are deleted.</summary>
    public const int MaxLines = 1000;

    /// <summary>Workers of one endpoint whose logs are stored, those that wrote last.</summary>
    public const int MaxLogs = 50;

    /// <summary>How long a log is stored after its last line.</summary>
    public static readonly TimeSpan Life = TimeSpan.FromHours(24);

    private static readonly Script Append = Script.Load("worker-log-append");

    /// <summary>Appends lines to the log of a worker.</summary>
    /// <param name="endpointId">The endpoint.</param>
    /// <param name="podId">The worker.</param>
    /// <param name="lines">The lines, oldest first.</param>
    /// <param name="ct">Cancels the wait.</param>
    public Task AppendAsync(
        string endpointId, string podId, IReadOnlyList<WorkerOutput> lines, CancellationToken ct) =>
        Append.RunAsync(redis.Database, [Log(endpointId, podId), Logs(endpointId), Log(endpointId, "")],
            [
                podId, MaxLines, MaxLogs, (long)Life.TotalMilliseconds, time.GetUtcNow().ToUnixTimeMilliseconds(),
                .. lines.SelectMany(l => new RedisValue[]
                {
                    l.At.ToUnixTimeMilliseconds(), l.Text, l.IsSystem ? "1" : "",
                }),
            ]).WaitAsync(ct);

    /// <summary>Returns the last lines of a worker, oldest first; empty if there is no log.</summary>
    public async Task<IReadOnlyList<WorkerLogLine>> TailAsync(
        string endpointId, string podId, int count, CancellationToken ct)
    {
        if (count == 0) return [];
        var entries = await redis.Database
            .StreamRangeAsync(Log(endpointId, podId), "-", "+", count, Order.Descending)
            .WaitAsync(ct);
        return [.. entries.Reverse().Select(Read)];
    }

    /// <summary>Returns the lines after one, oldest first, at most <see cref="MaxLines"/>.</summary>
    /// <param name="endpointId">The endpoint.</param>
    /// <param name="podId">The worker.</param>
    /// <param name="id">The id of a line; an empty text: from the first line.</param>
    /// <param name="ct">Cancels the wait.</param>
    public async Task<IReadOnlyList<WorkerLogLine>> AfterAsync(
        string endpointId, string podId, string id, CancellationToken ct)
    {
        var entries = await redis.Database
            .StreamRangeAsync(Log(endpointId, podId), id.Length > 0 ? $"({id}" : "-", "+", MaxLines)
            .WaitAsync(ct);
        return [.. entries.Select(Read)];
    }

    /// <summary>Returns the workers of an endpoint whose logs are stored, with the time of their last line.</summary>
    public async Task<IReadOnlyDictionary<string, DateTimeOffset>> ListAsync(string endpointId, CancellationToken ct) =>
        (await redis.Database.SortedSetRangeByRankWithScoresAsync(Logs(endpointId)).WaitAsync(ct))
            .ToDictionary(e => (string)e.Element!, e => DateTimeOffset.FromUnixTimeMilliseconds((long)e.Score));

    private static WorkerLogLine Read(StreamEntry entry) => new(
        (string)entry.Id!,
        DateTimeOffset.FromUnixTimeMilliseconds(
            long.Parse((string?)entry["at"] ?? "0", CultureInfo.InvariantCulture)),
        (string?)entry["text"] ?? "",
        entry["system"].IsNull ? "worker" : "system");

    private static RedisKey Logs(string endpointId) => $"sluice:{{{endpointId}}}:logs";

    private static RedisKey Log(string endpointId, string podId) => $"sluice:{{{endpointId}}}:log:{podId}";
}
