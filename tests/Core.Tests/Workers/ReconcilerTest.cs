using Microsoft.Extensions.Logging.Abstractions;
using Sluice.Core.Autoscaling;
using Sluice.Core.Dispatch;
using Sluice.Core.Endpoints;
using Sluice.Core.Gpus;
using Sluice.Core.Jobs;
using Sluice.Core.Tests.Endpoints;
using Sluice.Core.Tests.Jobs;
using Sluice.Core.Workers;
using Sluice.Testing;

namespace Sluice.Core.Tests.Workers;

/// <summary>The loop goes on whatever its host's daemon does; on a real Redis.</summary>
public sealed class ReconcilerTest(RedisFixture redis) : IClassFixture<RedisFixture>
{
    private readonly PodStore store = new(redis.Store);

    [Fact]
    public async Task A_host_whose_daemon_hangs_says_that_it_lives_and_takes_over_what_runs_when_the_daemon_is_back()
    {
        var back = new TaskCompletionSource<IReadOnlyList<RunningPod>>(TaskCreationOptions.RunContinuationsAsynchronously);
        using var host = new ScriptedHost { Adopt = () => back.Task };
        using var gateway = await Gateway.StartAsync(redis, host, "e");

        await Eventually.HoldsAsync(async () => (await store.BeatAsync("witness", Reconciler.HostLease, default)).Contains("here"), "the host's word");
        // Nothing is started before it is known what runs.
        Assert.Empty(await store.ListAsync("e", default));

        using var left = new ScriptedPod(new PodOrder(new Deployment(new Endpoint { Id = "e", Template = "t" }, new Template { Name = "t" }), "e-left"));
        back.SetResult([left]);
        await Eventually.HoldsAsync(async () => (await store.ListAsync("e", default)).Any(p => p.Id == "e-left"), "the pod is taken over");
        await gateway.StopAsync();
    }

    [Fact]
    public async Task An_endpoint_whose_records_nobody_can_read_is_not_the_others_end()
    {
        await redis.Store.Database.StringSetAsync("sluice:{broken}:pods", "not a hash");
        using var host = new ScriptedHost();
        using var gateway = await Gateway.StartAsync(redis, host, "broken", "whole");
        await Eventually.HoldsAsync(async () => (await store.ListAsync("whole", default)).Count > 0, "a worker of the other one");
        await gateway.StopAsync();
    }

    [Fact]
    public async Task An_endpoint_that_was_deleted_leaves_nothing_also_where_it_never_had_a_worker()
    {
        using var host = new ScriptedHost();
        using var gateway = await Gateway.StartAsync(redis, host, "other");
        var (catalog, jobs) = (new CatalogStore(redis.Store), new JobStore(redis.Store, new PayloadStore(redis.Store, "/nowhere")));
        await catalog.PutAsync(new Endpoint { Id = "workless", Template = "t", Scaling = new ScalePolicy { Max = 0 } }, default);
        await jobs.SubmitAsync(JobStoreTest.Job("workless", "a") with { Webhook = "https://example.org/" }, default);
        Assert.Equal(CatalogRefusal.None, (await catalog.DeleteEndpointAsync("workless", default)).Refusal);
        // A gateway that does not know of it yet.
        await Eventually.HoldsAsync(async () => await redis.Store.Database.KeyExistsAsync(new JobKeys("workless").Forgotten), "the first phase");
        await jobs.SubmitAsync(JobStoreTest.Job("workless", "late"), default);

        await Eventually.HoldsAsync(async () => (await catalog.DeletedAsync(default)).Count == 0, "nothing is left");
        var keys = (string[])(await redis.Store.Database.ExecuteAsync("KEYS", "sluice:{workless}:*"))!;
        // What was done, for an hour.
        Assert.Equal(["sluice:{workless}:forgotten"], keys);
        await gateway.StopAsync();
    }

    /// <summary>The parts of a gateway that keep pods.</summary>
    private sealed class Gateway(Reconciler reconciler, List<IDisposable> parts) : IDisposable
    {
        public static async Task<Gateway> StartAsync(RedisFixture redis, IPodHost host, params string[] endpoints)
        {
            var (time, id, store, slots) = (TimeProvider.System, new HostId("here"), new PodStore(redis.Store), new WorkerSlotStore(redis.Store));
            var catalogs = new CatalogStore(redis.Store);
            await catalogs.ReplaceManifestAsync(new ManifestFile
            {
                Templates = [new Template { Name = "t" }],
                Endpoints = [.. endpoints.Select(e => new Endpoint { Id = e, Template = "t", Scaling = new ScalePolicy { Min = 1 } })],
            }, default);
            var catalog = new CatalogWatcher(redis.Store, catalogs, time, NullLogger<CatalogWatcher>.Instance);
            await catalog.RefreshAsync(default);
            var leadership = new Leadership(redis.Store, "here");
            var fleet = new PodFleet(id, host, store, slots, time, NullLogger<PodFleet>.Instance);
            var inventory = new GpuInventory(new GpuInventoryOptions(null), time, NullLogger<GpuInventory>.Instance);
            var decisions = new DecisionLog(new DecisionStore(redis.Store), () => leadership.IsLeader, NullLogger<DecisionLog>.Instance);
            var reconciler = new Reconciler(id, catalog, store, fleet, slots, leadership, decisions, inventory, new GpuStore(redis.Store),
                EndpointDeletionsTest.Deletions(redis.Store, TimeSpan.FromSeconds(1)), time, NullLogger<Reconciler>.Instance);
            await reconciler.StartAsync(default);
            return new Gateway(reconciler, [reconciler, fleet, inventory, catalog]);
        }

        public Task StopAsync() => reconciler.StopAsync(default);

        public void Dispose() => parts.ForEach(p => p.Dispose());
    }
}
