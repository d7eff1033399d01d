using Sluice.Storage.Redis;
using StackExchange.Redis;

namespace Sluice.Storage.Fleet;

/// <summary>
/// Elects the one gateway that decides how many workers run. The leader holds a lease with an epoch, on the clock of
/// Redis.
/// </summary>
public sealed class LeaderElection(RedisStore redis, string candidate)
{
    /// <summary>
    /// Duration of the lease. A leader that does not renew it is replaced; it renews once a second, independently of
    /// its other work.
    /// </summary>
    public static readonly TimeSpan Lease = TimeSpan.FromSeconds(3);

    private static readonly Script Lead = Script.Load("lead");
    private static readonly RedisKey[] Keys = ["sluice:{leader}:holder", "sluice:{leader}:epoch"];

    private long epoch;

    public bool IsLeader => Volatile.Read(ref epoch) > 0;

    /// <summary>Increases with each new leader; 0 while this gateway does not lead.</summary>
    public long Epoch => Volatile.Read(ref epoch);

    /// <summary>Remaining time of another gateway's lease; null: no other gateway has one.</summary>
    public TimeSpan? VacantIn { get; private set; }

    /// <summary>Acquires the lease, or renews it.</summary>
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

    /// <summary>Records that a later leader exists: this gateway no longer leads.</summary>
    /// <param name="seen">The epoch that has ended.</param>
    public void RecordLost(long seen) => Interlocked.CompareExchange(ref epoch, 0, seen);

    /// <summary>Gives up the lease immediately, so that another gateway can lead.</summary>
    public async Task ResignAsync()
    {
        Volatile.Write(ref epoch, 0);
        await RunAsync(TimeSpan.Zero);
    }

    private Task<RedisResult> RunAsync(TimeSpan lease) =>
        Lead.RunAsync(redis.Database, Keys, [candidate, (long)lease.TotalMilliseconds]);
}
