using Sluice.Domain.Schema;
using Sluice.Storage.Queueing;
using Sluice.Storage.Redis;
using StackExchange.Redis;

namespace Sluice.Storage.Jobs;

/// <summary>
/// Detects jobs in Redis that a build of schema 1 stored. It did not store its version, and newer builds do not read
/// its keys. The start fails with an error, so no accepted job is lost.
/// </summary>
public static class JobSchemaVersion
{
    /// <summary>
    /// Checks the jobs in Redis. Version 1 had the hashes <c>asked</c>, <c>again</c>, <c>watched</c>, <c>large</c> and
    /// <c>gone</c>, or one hash per job.
    /// </summary>
    /// <param name="redis">The connection.</param>
    /// <param name="endpoints">The declared endpoints.</param>
    /// <exception cref="InvalidOperationException">An endpoint has jobs of version 1.</exception>
    public static async Task CheckAsync(RedisStore redis, IEnumerable<string> endpoints)
    {
        foreach (var id in endpoints)
            if (await HasFirstVersionAsync(redis.Database, id))
                throw new InvalidOperationException($"Redis has jobs of endpoint '{id}' in schema 1; expected schema "
                    + $"{SchemaVersions.Oldest} or later. {WhatToDo}");
    }

    private const string WhatToDo = "Run the build that stored these jobs until they have ended and their retention "
        + "has passed, or use an empty database (another SLUICE_DATA, or another Redis in SLUICE_REDIS). "
        + "docs/operations/upgrade.md describes how to delete them.";

    /// <summary>The list or sorted set of jobs had the name that the hash of submissions has now.</summary>
    private static async Task<bool> HasFirstVersionAsync(IDatabase db, string endpointId)
    {
        var transaction = db.CreateTransaction();
        var type = transaction.KeyTypeAsync(new DispatchKeys(endpointId).Jobs);
        var isFirst = transaction.KeyExistsAsync(DispatchKeys.Key(endpointId, "asked"));
        await transaction.ExecuteAsync();
        return await isFirst || await type is not (RedisType.None or RedisType.Hash);
    }
}
