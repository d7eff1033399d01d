using Microsoft.Extensions.Logging.Abstractions;
using Sluice.Core.Autoscaling;
using Sluice.Core.Dispatch;
using Sluice.Core.Endpoints;
using Sluice.Core.Gpus;
using Sluice.Core.Jobs;
using Sluice.Core.Tests.Endpoints;
using Sluice.Core.Tests.Jobs;
using Sluice.Core.Redis;
using Sluice.Core.Workers;
using Sluice.Testing;
using StackExchange.Redis;

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

        await Eventually.HoldsAsync(async () => (await store.RenewHostAsync("witness", Reconciler.HostLease, default)).Contains("here"), "the host's word");
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

    [Fact]
    public async Task An_endpoint_whose_starts_failed_starts_a_worker_by_itself_at_its_next_try_when_a_request_was_refused()
    {
        var (time, broken) = (new ManualTime(TimeProvider.System.GetUtcNow()), true);
        using var worker = new RawServer("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        using var host = new ScriptedHost
        {
            Start = order => broken ? throw new InvalidOperationException("no model folder") : Task.FromResult<RunningPod>(new ScriptedPod(order, worker.Uri)),
        };
        using var gateway = await Gateway.StartAsync(redis, host, new Setup { Min = 0, Time = time }, "mended");
        var (scripts, keys, slots) = (new DispatchScripts(redis.Store), new DispatchKeys("mended"), new WorkerSlotStore(redis.Store));
        AcquireAnswer? answer = null;
        var entry = "";
        await Eventually.HoldsAsync(async () =>
        {
            if (entry.Length == 0)
            {
                answer = await scripts.AcquireAsync(keys, "mended", "g~0", true, TimeSpan.FromHours(1), 10, 0,
                    [new TicketRequest("t", "f", TimeSpan.FromHours(1), false)]);
                if (answer.Refused is [(_, "blocked")]) return true;
                entry = answer.Queued[0].Entry;
            }

            time.Advance(TimeSpan.FromSeconds(0.25));
            if (await slots.WhyBlockedAsync("mended", default) is null) return false;
            // As a gateway does; the next one comes before the clock moves on.
            await scripts.AbandonAsync(keys, [entry]);
            entry = "";
            return false;
        }, "a refused request");
        var told = WorkerSlotStore.ReadBlocked(answer!.BlockedReason);
        Assert.Contains("no model folder", told!.Reason, StringComparison.Ordinal);

        broken = false;
        await Eventually.HoldsAsync(async () =>
        {
            time.Advance(TimeSpan.FromSeconds(1));
            return (await slots.SnapshotAsync("mended", default)) is { Workers.Count: 1, Blocked: null, Refused: 0 };
        }, "a worker, though no request waits");
        var stopping = gateway.StopAsync();
        await Eventually.HoldsAsync(() =>
        {
            time.Advance(TimeSpan.FromSeconds(1));
            return Task.FromResult(stopping.IsCompleted);
        }, "its end");
        await stopping;
    }

    [Fact]
    public async Task A_block_that_an_earlier_leader_left_is_deleted()
    {
        using var host = new ScriptedHost();
        using var gateway = await Gateway.StartAsync(redis, host, new Setup { Min = 0 }, "left");
        await Eventually.HoldsAsync(async () => (await new DecisionStore(redis.Store).LatestAsync("left", default)) is not null, "a first look");
        var slots = new WorkerSlotStore(redis.Store);
        await slots.BlockAsync("left", new BlockedStart("what the other one knew", DateTimeOffset.MaxValue), default, default);
        await Eventually.HoldsAsync(async () => await slots.WhyBlockedAsync("left", default) is null, "requests wait again");
        await gateway.StopAsync();
    }

    [Fact]
    public async Task A_round_that_waits_for_redis_delays_neither_its_other_looks_nor_the_renewal_of_the_leadership()
    {
        string[] endpoints = [.. Enumerable.Range(0, 100).Select(n => $"many{n}")];
        using var proxy = new FaultProxy(redis.Port);
        using var slow = await ConnectionMultiplexer.ConnectAsync($"127.0.0.1:{proxy.Port},password={RedisFixture.Password}");
        // The first use of a script waits for the answer that it is loaded.
        await new WorkerSlotStore(new RedisStore(slow)).ReapAsync("earlier", default);
        proxy.LoseAnswers();
        using var host = new ScriptedHost();
        using var gateway = await Gateway.StartAsync(redis, host, new Setup { Min = 0, Slots = new RedisStore(slow) }, endpoints);
        var db = redis.Store.Database;
        await Eventually.HoldsAsync(async () => (await Task.WhenAll(endpoints.Select(e => db.HashExistsAsync(new DispatchKeys(e).Meta, "reaped")))).Count(r => r) >= 60,
            "looks that wait side by side");
        for (var again = 0; again < 2; again++)
        {
            await db.KeyDeleteAsync("sluice:{leader}:holder");
            await Eventually.HoldsAsync(() => db.KeyExistsAsync("sluice:{leader}:holder"), "a renewal while the round waits");
        }

        proxy.Heal();
        await gateway.StopAsync();
    }

    /// <summary>In what a test's gateway differs from a usual one.</summary>
    private sealed record Setup
    {
        public int Min { get; init; } = 1;

        public TimeProvider Time { get; init; } = TimeProvider.System;

        /// <summary>Where it finds dispatch; null: where everything else is.</summary>
        public RedisStore? Slots { get; init; }
    }

    /// <summary>The parts of a gateway that keep pods.</summary>
    private sealed class Gateway(Reconciler reconciler, List<IDisposable> parts) : IDisposable
    {
        public static Task<Gateway> StartAsync(RedisFixture redis, IPodHost host, params string[] endpoints) => StartAsync(redis, host, new Setup(), endpoints);

        public static async Task<Gateway> StartAsync(RedisFixture redis, IPodHost host, Setup setup, params string[] endpoints)
        {
            var (time, id, store, slots) = (setup.Time, new HostId("here"), new PodStore(redis.Store), new WorkerSlotStore(setup.Slots ?? redis.Store));
            var catalogs = new CatalogStore(redis.Store);
            await catalogs.ReplaceManifestAsync(new ManifestFile
            {
                Templates = [new Template { Name = "t", Protocol = WorkerProtocol.Http1 }],
                Endpoints = [.. endpoints.Select(e => new Endpoint { Id = e, Template = "t", Scaling = new ScalePolicy { Min = setup.Min } })],
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
