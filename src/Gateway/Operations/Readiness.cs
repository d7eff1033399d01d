using Sluice.Core.Endpoints;
using Sluice.Core.Redis;
using Sluice.Gateway.Auth;

namespace Sluice.Gateway.Operations;

/// <summary>Whether this gateway can take requests.</summary>
public sealed class Readiness(RedisStore redis, CatalogWatcher catalog, KeyRing keys, IHostApplicationLifetime lifetime,
    TimeProvider time)
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(2);

    /// <summary>The reasons why not; empty: it can.</summary>
    public async Task<IReadOnlyList<string>> WhyNotAsync(CancellationToken ct)
    {
        var why = new List<string>();
        if (lifetime.ApplicationStopping.IsCancellationRequested) why.Add("stopping");
        if (!catalog.Loaded.IsCompleted) why.Add("the declared endpoints were not read yet");
        if (!keys.Loaded) why.Add("the API keys were not read yet");
        try
        {
            await redis.Database.PingAsync().WaitAsync(Patience, time, ct);
        }
        catch (Exception e) when (RedisDown.Is(e) && !ct.IsCancellationRequested)
        {
            why.Add($"Redis does not answer: {e.Message.Split('\n')[0]}");
        }

        return why;
    }
}
