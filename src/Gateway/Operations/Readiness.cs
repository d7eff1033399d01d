using Sluice.Core.Endpoints;
using Sluice.Core.Jobs;
using Sluice.Core.Redis;
using Sluice.Gateway.Auth;

namespace Sluice.Gateway.Operations;

/// <summary>Whether this gateway can take requests.</summary>
public sealed class Readiness(RedisStore redis, CatalogWatcher catalog, KeyRing keys, PayloadShare payloads,
    IHostApplicationLifetime lifetime, TimeProvider time)
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(2);

    /// <summary>Not PING: a read-only replica and a Redis with a full disk answer that.</summary>
    private static readonly Script Writable = Script.Load("writable");

    /// <summary>The reasons why not; empty: it can. Each is a sentence that every client may read.</summary>
    public async Task<IReadOnlyList<string>> WhyNotAsync(CancellationToken ct)
    {
        var why = new List<string>();
        if (lifetime.ApplicationStopping.IsCancellationRequested) why.Add("stopping");
        if (!catalog.Loaded.IsCompleted) why.Add("the declared endpoints were not read yet");
        if (!keys.Loaded) why.Add("the API keys were not read yet");
        if (!payloads.IsAvailable) why.Add(new PayloadException(PayloadFault.Unavailable, null).Message);
        try
        {
            await Writable.RunAsync(redis.Database, [], []).WaitAsync(Patience, time, ct);
        }
        catch (Exception e) when (RedisFaults.Of(e) != RedisFault.None && !ct.IsCancellationRequested)
        {
            why.Add(RedisFaults.Of(e).Sentence());
        }

        return why;
    }
}
