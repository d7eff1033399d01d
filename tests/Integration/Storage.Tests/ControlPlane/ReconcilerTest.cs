using Microsoft.Extensions.DependencyInjection;
using Sluice.ControlPlane.Pods;
using Sluice.ControlPlane.Reconciliation;
using Sluice.Domain.Declarations;
using Sluice.Domain.Fleet;
using Sluice.Hosting;
using Sluice.Storage.Catalog;
using Sluice.Storage.Fleet;
using Sluice.Storage.Jobs;
using Sluice.Storage.Queueing;
using Sluice.Storage.Redis;
using Sluice.Storage.Tests.Jobs;
using Sluice.Testing;
using StackExchange.Redis;

namespace Sluice.Storage.Tests.ControlPlane;

/// <summary>The loop continues whatever its host's daemon does; on a real Redis.</summary>
public sealed class ReconcilerTest(RedisFixture redis) : IClassFixture<RedisFixture>
{
    private readonly PodStore store = new(redis.Store);

    [Fact]
    public async Task A_host_whose_daemon_hangs_renews_its_lease_and_adopts_pods_when_the_daemon_responds_again()
    {
        var back = new TaskCompletionSource<IReadOnlyList<RunningPod>>(
            TaskCreationOptions.RunContinuationsAsynchronously);
        using var host = new ScriptedHost { Adopt = () => back.Task };
        using var gateway = await Gateway.StartAsync(redis, host, "e");

        await Eventually.HoldsAsync(
            async () => (await store.RenewHostAsync("witness", HostLease.Duration, default)).Contains("here"),
            "the host's lease");
        // No pod is started before the running pods are known.
        Assert.Empty(await store.ListAsync("e", default));

        var deployment = new Deployment(new Endpoint { Id = "e", Template = "t" }, new Template { Name = "t" });
        using var left = new ScriptedPod(new PodSpec(deployment, "e-left"));
        back.SetResult([left]);
        await Eventually.HoldsAsync(
            async () => (await store.ListAsync("e", default)).Any(p => p.Id == "e-left"), "the adopted pod");
        await gateway.StopAsync();
    }

    [Fact]
    public async Task An_endpoint_with_unreadable_records_does_not_affect_the_others()
    {
        await redis.Store.Database.StringSetAsync("sluice:{broken}:pods", "not a hash");
        using var host = new ScriptedHost();
        using var gateway = await Gateway.StartAsync(redis, host, "broken", "whole");
        await Eventually.HoldsAsync(
            async () => (await store.ListAsync("whole", default)).Count > 0, "a worker of the other endpoint");
        await gateway.StopAsync();
    }

    [Fact]
    public async Task A_deleted_endpoint_leaves_no_data_even_if_it_never_had_a_worker()
    {
        using var host = new ScriptedHost();
        using var gateway = await Gateway.StartAsync(redis, host, "other");
        var catalog = new CatalogStore(redis.Store);
        var jobs = new JobStore(redis.Store, new PayloadStore(redis.Store, "/nowhere"));
        var workless = new Endpoint { Id = "workless", Template = "t", Scaling = new ScalePolicy { Max = 0 } };
        await catalog.PutAsync(workless, default);
        await jobs.SubmitAsync(JobStoreTest.Job("workless", "a") with { Webhook = "https://example.org/" }, default);
        Assert.Equal(CatalogRefusal.None, (await catalog.DeleteEndpointAsync("workless", default)).Refusal);
        // This job is submitted by a gateway that does not know of the deletion yet.
        var forgotten = new JobKeys("workless").Forgotten;
        await Eventually.HoldsAsync(() => redis.Store.Database.KeyExistsAsync(forgotten), "the first phase");
        await jobs.SubmitAsync(JobStoreTest.Job("workless", "late"), default);

        await Eventually.HoldsAsync(
            async () => !(await catalog.DeletedAsync(default)).ContainsKey("workless"), "the end of the deletion");
        var keys = (string[])(await redis.Store.Database.ExecuteAsync("KEYS", "sluice:{workless}:*"))!;
        // The record of the deletion expires after an hour. The usage of a deleted endpoint is kept.
        var rest = keys.Where(k => !k.StartsWith("sluice:{workless}:ledger", StringComparison.Ordinal));
        Assert.Equal(["sluice:{workless}:forgotten"], rest);
        await gateway.StopAsync();
    }

    [Fact]
    public async Task A_rejected_request_starts_a_worker_at_the_next_try_after_failed_starts()
    {
        var (time, broken) = (new ManualTime(TimeProvider.System.GetUtcNow()), true);
        using var worker = new RawServer("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        using var host = new ScriptedHost
        {
            Start = order => broken
                ? throw new InvalidOperationException("no model folder")
                : Task.FromResult<RunningPod>(new ScriptedPod(order, worker.Uri)),
        };
        using var gateway = await Gateway.StartAsync(redis, host, new Setup { Min = 0, Time = time }, "mended");
        var (scripts, keys) = (new DispatchScripts(redis.Store), new DispatchKeys("mended"));
        var slots = new WorkerSlotStore(redis.Store);
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
            // Gateways abandon such requests too. The next request arrives before the clock advances.
            await scripts.AbandonAsync(keys, [entry]);
            entry = "";
            return false;
        }, "a rejected request");
        var blocked = WorkerSlotStore.ReadBlocked(answer!.BlockedReason);
        Assert.Contains("no model folder", blocked!.Reason, StringComparison.Ordinal);

        broken = false;
        await Eventually.HoldsAsync(async () =>
        {
            time.Advance(TimeSpan.FromSeconds(1));
            return (await slots.SnapshotAsync("mended", default)) is { Workers.Count: 1, Blocked: null, Refused: 0 };
        }, "a worker, although no request waits");
        var stopping = gateway.StopAsync();
        await Eventually.HoldsAsync(() =>
        {
            time.Advance(TimeSpan.FromSeconds(1));
            return Task.FromResult(stopping.IsCompleted);
        }, "the stop of the gateway");
        await stopping;
    }

    [Fact]
    public async Task A_block_that_an_earlier_leader_stored_is_deleted()
    {
        using var host = new ScriptedHost();
        using var gateway = await Gateway.StartAsync(redis, host, new Setup { Min = 0 }, "left");
        var decisions = new ScalingDecisionStore(redis.Store);
        await Eventually.HoldsAsync(
            async () => (await decisions.LatestAsync("left", default)) is not null, "the first decision");
        var slots = new WorkerSlotStore(redis.Store);
        var block = new BlockedStart("a reason of the earlier leader", DateTimeOffset.MaxValue);
        await slots.BlockAsync("left", block, default, default);
        gateway.Receive("left");
        await Eventually.HoldsAsync(
            async () => await slots.WhyBlockedAsync("left", default) is null, "the deletion of the block");
        await gateway.StopAsync();
    }

    [Fact]
    public async Task A_round_that_waits_for_redis_delays_neither_its_other_endpoints_nor_the_leadership_renewal()
    {
        string[] endpoints = [.. Enumerable.Range(0, 100).Select(n => $"many{n}")];
        using var proxy = new FaultProxy(redis.Port);
        var address = $"127.0.0.1:{proxy.Port},password={RedisFixture.Password}";
        using var slow = await ConnectionMultiplexer.ConnectAsync(address);
        // The first use of a script waits until Redis has loaded it.
        await new WorkerSlotStore(new RedisStore(slow)).ReapAsync("earlier", default);
        proxy.LoseAnswers();
        using var host = new ScriptedHost();
        var setup = new Setup { Min = 0, Slots = new RedisStore(slow) };
        using var gateway = await Gateway.StartAsync(redis, host, setup, endpoints);
        var db = redis.Store.Database;
        await Eventually.HoldsAsync(async () =>
        {
            var reaped = endpoints.Select(e => db.HashExistsAsync(new DispatchKeys(e).Meta, "reaped"));
            return (await Task.WhenAll(reaped)).Count(r => r) >= 60;
        }, "endpoints that wait concurrently");
        for (var again = 0; again < 2; again++)
        {
            await db.KeyDeleteAsync("sluice:{leader}:holder");
            await Eventually.HoldsAsync(
                () => db.KeyExistsAsync("sluice:{leader}:holder"), "a renewal while the round waits");
        }

        proxy.Heal();
        await gateway.StopAsync();
    }

    /// <summary>The settings in which a test's gateway differs from the default.</summary>
    private sealed record Setup
    {
        public int Min { get; init; } = 1;

        public TimeProvider Time { get; init; } = TimeProvider.System;

        /// <summary>The Redis of dispatch; null: the same one as for everything else.</summary>
        public RedisStore? Slots { get; init; }
    }

    /// <summary>The parts of a gateway that manage pods.</summary>
    private sealed class Gateway(ServiceProvider services) : IDisposable
    {
        public static Task<Gateway> StartAsync(RedisFixture redis, IPodHost host, params string[] endpoints) =>
            StartAsync(redis, host, new Setup(), endpoints);

        public static async Task<Gateway> StartAsync(
            RedisFixture redis,
            IPodHost host,
            Setup setup,
            params string[] endpoints)
        {
            var services = TestControlPlane.Build(redis.Store, setup.Slots ?? redis.Store, host, setup.Time);
            var scaling = new ScalePolicy { Min = setup.Min };
            await services.GetRequiredService<CatalogStore>().ReplaceManifestAsync(new ManifestFile
            {
                Templates = [new Template { Name = "t", Protocol = WorkerProtocol.Http1 }],
                Endpoints = [.. endpoints.Select(e => new Endpoint { Id = e, Template = "t", Scaling = scaling })],
            }, default);
            await services.GetRequiredService<CatalogWatcher>().RefreshAsync(default);
            await services.GetRequiredService<Reconciler>().StartAsync(default);
            return new Gateway(services);
        }

        /// <summary>What the dispatcher does with the messages "waiting" and "blocked".</summary>
        public void Receive(string endpoint) => services.GetRequiredService<WorkerSlotStore>().Wake(endpoint);

        public Task StopAsync() => services.GetRequiredService<Reconciler>().StopAsync(default);

        public void Dispose() => services.Dispose();
    }
}
