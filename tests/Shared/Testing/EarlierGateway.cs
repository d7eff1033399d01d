using StackExchange.Redis;

namespace Sluice.Testing;

/// <summary>
/// What a gateway of a build of schema 2 writes: it has a lease of its host, and announces no versions.
/// </summary>
/// <param name="database">The Redis.</param>
/// <param name="host">The id of its host.</param>
public sealed class EarlierGateway(IDatabase database, string host)
{
    /// <summary>The key of the leases of hosts.</summary>
    public const string Leases = "sluice:{hosts}:expiry";

    /// <summary>The key of the version of the data.</summary>
    public const string Schema = "sluice:schema";

    /// <summary>
    /// Checks the version as such a build does, and gets a lease. Returns false if it refuses to start.
    /// </summary>
    public async Task<bool> StartAsync()
    {
        await database.StringSetAsync(Schema, 2, when: When.NotExists);
        if (await database.StringGetAsync(Schema) != 2) return false;
        await RenewAsync();
        return true;
    }

    /// <summary>Renews the lease for longer than a test runs.</summary>
    public Task RenewAsync() => database.SortedSetAddAsync(
        Leases, host, TimeProvider.System.GetUtcNow().AddMinutes(10).ToUnixTimeMilliseconds());

    /// <summary>Stops the gateway: it ends its lease.</summary>
    public Task StopAsync() => database.SortedSetRemoveAsync(Leases, host);
}
