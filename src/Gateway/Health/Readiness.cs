using Sluice.Gateway.Authentication;
using Sluice.Storage.Catalog;
using Sluice.Storage.Jobs;
using Sluice.Storage.Redis;

namespace Sluice.Gateway.Health;

/// <summary>Checks whether this gateway can accept requests.</summary>
public sealed class Readiness(RedisStore redis, CatalogWatcher catalog, ApiKeyCache keys, PayloadShare payloads,
    IHostApplicationLifetime lifetime, TimeProvider time)
{
    private static readonly TimeSpan CheckTimeout = TimeSpan.FromSeconds(2);

    /// <summary>
    /// A script that writes. PING is not sufficient: a read-only replica and a Redis with a full disk also answer it.
    /// </summary>
    private static readonly Script Writable = Script.Load("writable");

    /// <summary>
    /// Returns the reasons why the gateway cannot accept requests; the list is empty if it can. Each reason contains
    /// only public details.
    /// </summary>
    public async Task<IReadOnlyList<string>> GetObstaclesAsync(CancellationToken ct)
    {
        var why = new List<string>();
        if (lifetime.ApplicationStopping.IsCancellationRequested) why.Add("The gateway is stopping.");
        if (!catalog.Loaded.IsCompleted) why.Add("The declared endpoints are not loaded yet.");
        if (!keys.Loaded) why.Add("The API keys are not loaded yet.");
        if (!payloads.IsAvailable) why.Add(new PayloadException(PayloadFault.Unavailable, null).Message);
        try
        {
            await Writable.RunAsync(redis.Database, [], []).WaitAsync(CheckTimeout, time, ct);
        }
        catch (Exception e) when (RedisFaults.Classify(e) != RedisFault.None && !ct.IsCancellationRequested)
        {
            why.Add(RedisFaults.Classify(e).Sentence());
        }

        return why;
    }
}
