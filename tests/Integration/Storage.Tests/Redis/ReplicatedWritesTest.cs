using Sluice.Domain.Jobs;
using Sluice.Storage.Jobs;
using Sluice.Storage.Redis;
using Sluice.Storage.Tests.Jobs;
using Sluice.Testing;
using StackExchange.Redis;

namespace Sluice.Storage.Tests.Redis;

/// <summary>A primary with a replica, which a client reaches by a list of both.</summary>
public sealed class ReplicatedWritesTest : IAsyncLifetime
{
    private readonly string folder = Directory.CreateTempSubdirectory("sluice-replicated-").FullName;
    private ReplicatedRedis redis = null!;
    private ConnectionMultiplexer shared = null!;
    private ConnectionMultiplexer waiting = null!;

    private RedisServer Primary => redis.Servers[0];

    private RedisServer Replica => redis.Servers[1];

    public async ValueTask InitializeAsync()
    {
        redis = await ReplicatedRedis.StartAsync(replicas: 1, sentinels: 0);
        shared = await ConnectAsync();
        waiting = await ConnectAsync();
    }

    public async ValueTask DisposeAsync()
    {
        await shared.CloseAsync(allowCommandsToComplete: false);
        await waiting.CloseAsync(allowCommandsToComplete: false);
        await redis.DisposeAsync();
        Directory.Delete(folder, recursive: true);
    }

    [Fact]
    public async Task A_job_is_accepted_only_with_a_replica_that_keeps_it_when_the_primary_fails()
    {
        var confirmed = new ReplicatedWrites(new RedisConnection(waiting, TimeProvider.System), replicas: 1);
        var store = new RedisStore(shared, replicated: confirmed);
        var changed = new TaskCompletionSource();
        store.OnReconnected(() => changed.TrySetResult());
        var jobs = new JobStore(store, new PayloadStore(store, folder));
        await AcceptedAsync(jobs, "first");

        Replica.Signal(ChildProcess.Sigstop);
        var e = await Assert.ThrowsAsync<NotReplicatedException>(() => SubmitAsync(jobs, "second"));
        Assert.Equal(RedisFault.NotReplicated, RedisFaults.Classify(e));
        Assert.True(RedisErrors.Is(e));
        // It is stored, and the same submission is accepted when a replica has it. A repetition alone confirms nothing.
        await Assert.ThrowsAsync<NotReplicatedException>(() => SubmitAsync(jobs, "second"));
        Replica.Signal(ChildProcess.Sigcont);
        await AcceptedAsync(jobs, "second");

        await Primary.KillAsync();
        await Replica.ExecuteAsync("REPLICAOF", "NO", "ONE");
        await AcceptsWritesAsync(new RedisStore(shared));
        await changed.Task.WaitAsync(ChildProcess.Patience, TimeProvider.System);
        foreach (var id in new[] { "first", "second" })
            Assert.NotNull(await jobs.LookAsync("endpoint", id, null, default));
        // The new primary has no replica yet.
        await Assert.ThrowsAnyAsync<Exception>(() => SubmitAsync(jobs, "third"));
        await Primary.RestartAsync();
        await Primary.ExecuteAsync("REPLICAOF", "127.0.0.1", $"{Replica.Port}");
        await AcceptedAsync(jobs, "third");
    }

    private static Task AcceptedAsync(JobStore jobs, string id) => Eventually.HoldsAsync(
        async () =>
        {
            try
            {
                return (await SubmitAsync(jobs, id)).Outcome == SubmitOutcome.Queued;
            }
            catch (Exception e) when (RedisErrors.Is(e))
            {
                return false;
            }
        },
        $"job {id} is accepted");

    /// <summary>Waits until the client uses the new primary.</summary>
    private static Task AcceptsWritesAsync(RedisStore store) => Eventually.HoldsAsync(
        async () =>
        {
            try
            {
                return await store.Database.StringSetAsync("sluice:test", "value");
            }
            catch (Exception e) when (RedisErrors.Is(e))
            {
                return false;
            }
        },
        "the client writes to the new primary");

    private static Task<SubmitResult> SubmitAsync(JobStore jobs, string id) =>
        jobs.SubmitAsync(JobStoreTest.Job("endpoint", id), default);

    private async Task<ConnectionMultiplexer> ConnectAsync()
    {
        var options = RedisClientOptions.Parse(redis.ListOfServers);
        options.ConnectTimeout = 5000;
        return await ConnectionMultiplexer.ConnectAsync(options);
    }
}
