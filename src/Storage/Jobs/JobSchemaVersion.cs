using Sluice.Storage.Queueing;
using Sluice.Storage.Redis;
using StackExchange.Redis;

namespace Sluice.Storage.Jobs;

/// <summary>
/// Detects jobs in Redis that an earlier build stored in a different format. They are rejected with an error instead of
/// misread, so no accepted job is lost.
/// </summary>
public static class JobSchemaVersion
{
    private static readonly Script RecountLua = Script.Load("job-recount");

    /// <summary>
    /// Checks the format of the jobs of endpoints, and counts the bytes of jobs that an earlier build stored without
    /// counting.
    /// </summary>
    /// <exception cref="InvalidOperationException">
    /// An endpoint has jobs of an earlier build: the first build listed them in a sorted set, the next one kept each in
    /// a separate hash. (In the current format, every listed job has an entry in <c>asked</c>.)
    /// </exception>
    public static async Task CheckAsync(RedisStore redis, IEnumerable<string> endpoints)
    {
        foreach (var id in endpoints)
        {
            var k = new JobKeys(id);
            var moment = redis.Database.CreateTransaction();
            var (listed, asked) = (moment.KeyTypeAsync(k.Index), moment.KeyExistsAsync(k.Dispatch.Asked));
            await moment.ExecuteAsync();
            if (await listed == RedisType.None || (await listed == RedisType.List && await asked))
            {
                if (await asked)
                    await RecountLua.RunAsync(
                        redis.Database,
                        [k.Dispatch.Asked, k.Dispatch.Results, k.Streams, k.Dispatch.Large, k.Bytes],
                        []);
                continue;
            }

            throw new InvalidOperationException(
                $"Redis holds jobs of endpoint '{id}' from an earlier build of Sluice, which this build cannot read. "
                + "Run the earlier build until the jobs have ended and their retention has passed, "
                + "or use an empty database (another SLUICE_DATA, or another Redis in SLUICE_REDIS)");
        }
    }
}
