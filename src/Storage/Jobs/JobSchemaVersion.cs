using Sluice.Storage.Queueing;
using Sluice.Storage.Redis;
using StackExchange.Redis;

namespace Sluice.Storage.Jobs;

/// <summary>
/// Detects jobs in Redis that another build stored with other keys or formats. The start fails with an error instead of
/// misreading them, so no accepted job is lost.
/// </summary>
public static class JobSchemaVersion
{
    /// <summary>
    /// The version of the keys and formats of jobs. Version 1 had the hashes <c>asked</c>, <c>again</c>,
    /// <c>watched</c>, <c>large</c> and <c>gone</c>, or one hash per job, and did not store its number.
    /// </summary>
    public const int Current = 2;

    /// <summary>String: the version of the jobs in this Redis.</summary>
    private static readonly RedisKey Key = "sluice:schema";

    /// <summary>Checks the jobs in Redis, and stores the version if there is none.</summary>
    /// <param name="redis">The connection.</param>
    /// <param name="endpoints">The declared endpoints. Only version 1 needs them.</param>
    /// <exception cref="InvalidOperationException">The jobs have another version.</exception>
    public static async Task CheckAsync(RedisStore redis, IEnumerable<string> endpoints)
    {
        foreach (var id in endpoints)
            if (await HasFirstVersionAsync(redis.Database, id))
                throw new InvalidOperationException($"Redis has jobs of endpoint '{id}' in schema 1; expected schema "
                    + $"{Current}. {WhatToDo}");
        await redis.Database.StringSetAsync(Key, Current, when: When.NotExists);
        var stored = await redis.Database.StringGetAsync(Key);
        if (stored != Current)
            throw new InvalidOperationException($"The schema of jobs in Redis (sluice:schema) is '{stored}'; expected "
                + $"{Current}. {WhatToDo}");
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
