using Sluice.Core.Redis;
using StackExchange.Redis;

namespace Sluice.Core.Workers;

/// <summary>One gateway of all leads: it decides how many workers run. A lease with an epoch, by Redis' clock.</summary>
public sealed class Leadership(RedisStore redis, string candidate)
{
    /// <summary>A leader that says nothing for this long is replaced; it renews once a second, whatever else it does.</summary>
    public static readonly TimeSpan Lease = TimeSpan.FromSeconds(3);

    private static readonly Script Lead = Script.Load("lead");
    private static readonly RedisKey[] Keys = ["sluice:{leader}:holder", "sluice:{leader}:epoch"];

    private long epoch;

    public bool IsLeader => Volatile.Read(ref epoch) > 0;

    /// <summary>Grows with each new leader; 0 while this gateway does not lead.</summary>
    public long Epoch => Volatile.Read(ref epoch);

    /// <summary>What is left of another gateway's lease; null: none has one.</summary>
    public TimeSpan? VacantIn { get; private set; }

    /// <summary>Tries to lead, or goes on leading.</summary>
    public async Task RenewAsync(CancellationToken ct)
    {
        try
        {
            var answer = (long)await RunAsync(Lease).WaitAsync(ct);
            VacantIn = answer < 0 ? TimeSpan.FromMilliseconds(-answer) : null;
            Volatile.Write(ref epoch, Math.Max(0, answer));
        }
        catch
        {
            Volatile.Write(ref epoch, 0);
            throw;
        }
    }

    /// <summary>A later leader was seen: this gateway does not lead any more, whatever it believed.</summary>
    /// <param name="seen">The epoch that was found to be over.</param>
    public void Lost(long seen) => Interlocked.CompareExchange(ref epoch, 0, seen);

    /// <summary>Leaves the lead to another at once.</summary>
    public async Task ResignAsync()
    {
        Volatile.Write(ref epoch, 0);
        await RunAsync(TimeSpan.Zero);
    }

    private Task<RedisResult> RunAsync(TimeSpan lease) =>
        Lead.RunAsync(redis.Database, Keys, [candidate, (long)lease.TotalMilliseconds]);
}
