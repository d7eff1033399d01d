using Sluice.Core.Redis;
using StackExchange.Redis;

namespace Sluice.Core.Jobs;

/// <summary>How jobs lie in Redis has changed between builds. What an earlier one left is refused by name instead of misread: nothing accepted is lost.</summary>
public static class JobLayout
{
    /// <summary>Throws <see cref="InvalidOperationException"/> when an endpoint has jobs of an earlier build: that listed them in a sorted set, for as long
    /// as their data was there.</summary>
    public static async Task CheckAsync(RedisStore redis, IEnumerable<string> endpoints)
    {
        foreach (var id in endpoints)
        {
            if (await redis.Database.KeyTypeAsync(new JobKeys(id).Index) != RedisType.SortedSet) continue;
            throw new InvalidOperationException($"Redis holds jobs of endpoint '{id}' from an earlier build of Sluice, which this one cannot read: "
                + "let that build end them and their retention pass, or give an empty database (another SLUICE_DATA, or another Redis in SLUICE_REDIS)");
        }
    }
}
