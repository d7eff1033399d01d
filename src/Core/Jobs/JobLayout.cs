using Sluice.Core.Redis;
using StackExchange.Redis;

namespace Sluice.Core.Jobs;

/// <summary>How jobs lie in Redis has changed between builds. What an earlier one left is refused by name instead of misread: nothing accepted is lost.</summary>
public static class JobLayout
{
    private static readonly Script RecountLua = Script.Load("job-recount");

    /// <summary>Counts the bytes of an endpoint's jobs where the build that stored them did not.
    /// Throws <see cref="InvalidOperationException"/> when an endpoint has jobs of an earlier build: the first listed them in a sorted set, the next
    /// kept each in a hash of its own. (In this one a job that is listed was asked for.)</summary>
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
                if (await asked) await RecountLua.RunAsync(redis.Database, [k.Dispatch.Asked, k.Dispatch.Results, k.Streams, k.Dispatch.Large, k.Bytes], []);
                continue;
            }

            throw new InvalidOperationException($"Redis holds jobs of endpoint '{id}' from an earlier build of Sluice, which this one cannot read: "
                + "let that build end them and their retention pass, or give an empty database (another SLUICE_DATA, or another Redis in SLUICE_REDIS)");
        }
    }
}
