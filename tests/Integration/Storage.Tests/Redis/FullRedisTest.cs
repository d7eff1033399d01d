using Sluice.Domain.Declarations;
using Sluice.Domain.Fleet;
using Sluice.Domain.Jobs;
using Sluice.Storage.Catalog;
using Sluice.Storage.Fleet;
using Sluice.Storage.Jobs;
using Sluice.Storage.Queueing;
using Sluice.Storage.Redis;
using Sluice.Storage.Tests.Jobs;
using Sluice.Testing;
using StackExchange.Redis;
using Endpoint = Sluice.Domain.Declarations.Endpoint;

namespace Sluice.Storage.Tests.Redis;

/// <summary>A Redis at its maxmemory: traffic and control writes continue, new jobs are rejected.</summary>
public sealed class FullRedisTest(RedisFixture redis) : IClassFixture<RedisFixture>
{
    private static readonly DateTimeOffset Now = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

    [Fact]
    public async Task A_full_Redis_rejects_new_jobs_and_serves_requests_and_control_writes()
    {
        var (db, folder) = (redis.Store.Database, Directory.CreateTempSubdirectory("sluice-full-"));
        var payloads = new PayloadStore(redis.Store, folder.FullName);
        var (store, streams) = (new JobStore(redis.Store, payloads), new JobStreams(redis.Store));
        var (scripts, keys) = (new DispatchScripts(redis.Store), new DispatchKeys("full"));
        await store.SubmitAsync(JobStoreTest.Job("full", "before"), default);
        await db.ExecuteAsync("CONFIG", "SET", "maxmemory", "1mb");
        try
        {
            await Assert.ThrowsAsync<RedisServerException>(() => db.StringSetAsync("plain", "1"));
            var refused = await Assert.ThrowsAsync<RedisServerException>(
                () => store.SubmitAsync(JobStoreTest.Job("full", "new"), default));
            Assert.StartsWith("OOM", refused.Message, StringComparison.Ordinal);

            Assert.True(await scripts.WorkerUpAsync(keys, "p", "{}", 2));
            await scripts.AcquireAsync(keys, "full", "g~0", true, TimeSpan.FromMinutes(1), 10, 0, []);
            var claim = Assert.Single(
                (await scripts.ReleaseAsync(new JobKeys("full"), "full", "g~0", [], [], claims: true)).Claimed);
            Assert.Equal(
                AppendOutcome.Appended,
                await streams.AppendAsync("full", "before", claim.Fence, 0, 100, ["1"u8.ToArray()], default));
            var end = JobEnd.Completed("before", claim.Fence, "1"u8.ToArray(), default);
            Assert.True(Assert.Single(
                (await scripts.ReleaseAsync(new JobKeys("full"), "full", "g~0", [new("p", 1)], [end], claims: true))
                    .Ended).Ended);
            var ticket = new TicketRequest("1", "f", TimeSpan.FromMinutes(1), false, 1);
            Assert.Single(
                (await scripts.AcquireAsync(keys, "full", "g~0", false, TimeSpan.FromMinutes(1), 10, 0, [ticket]))
                    .Granted);

            await ControlWritesAsync(new WorkerSlotStore(redis.Store), new PodStore(redis.Store));
            Assert.Equal(
                1,
                (int)((RedisResult[])(
                    await Script.Load("limit").RunAsync(db, ["{k}:rate", "{k}:flight"], [1000, 1, 1, "a", 1000]))!)[0]);
            Assert.Equal(1, (int)await Script.Load("limit-keep").RunAsync(db, ["{k}:flight"], ["a", 1000]));
        }
        finally
        {
            await db.ExecuteAsync("CONFIG", "SET", "maxmemory", "0");
            folder.Delete(recursive: true);
        }

        Assert.Equal(SubmitOutcome.Queued, (await store.SubmitAsync(JobStoreTest.Job("full", "new"), default)).Outcome);
    }

    [Fact]
    public void A_full_Redis_rejects_no_script_that_writes_except_those_that_queue_jobs()
    {
        var assembly = typeof(Script).Assembly;
        var rejected = assembly.GetManifestResourceNames()
            .Where(n => n.EndsWith(".lua", StringComparison.Ordinal) && !n.Contains(".part.", StringComparison.Ordinal))
            .Select(n => Script.Load(n[..^".lua".Length], assembly))
            .Where(s => !s.Source.StartsWith("#!lua flags=allow-oom\n", StringComparison.Ordinal)
                && !s.Source.StartsWith("#!lua flags=no-writes\n", StringComparison.Ordinal))
            .Select(s => s.Name);
        // Two of them only read. Batches, their files and stored responses are new data, as jobs are. Lines of workers
        // are not needed to serve.
        Assert.Equal(
            [
                "batch-create", "file-put", "job-check", "job-retry", "job-submit", "response-put", "snapshot",
                "worker-log-append",
            ],
            rejected.Order(StringComparer.Ordinal));
    }

    private async Task ControlWritesAsync(WorkerSlotStore slots, PodStore pods)
    {
        var pod = new Pod
        {
            Id = "p", EndpointId = "full", Template = "t", HostId = "h", State = PodState.Starting, StartedAt = Now,
            Fingerprint = "f"
        };
        Assert.Equal(StartDecision.Taken, await pods.StartAsync(pod, 1, 3, default));
        Assert.True(await pods.PutAsync(pod with { State = PodState.Ready }, default));
        Assert.True(await pods.AdoptAsync(pod with { Id = "q" }, 3, default));
        Assert.Contains("h", await pods.RenewHostAsync("h", TimeSpan.FromSeconds(10), default));
        await pods.PutReportAsync(new HostReport("h", Now, "{}"), default);
        Assert.Equal("{}", Assert.Single(await pods.ReportsAsync(default)).Report);
        Assert.Contains("full", await pods.EndpointsAsync(default));

        await slots.BlockAsync("cold", new BlockedStart("no worker starts", Now.AddHours(1)), Now, default);
        Assert.Equal("no worker starts", (await slots.WhyBlockedAsync("cold", default))!.Reason);
        var gpus = new GpuStore(redis.Store);
        await gpus.SetWaitAsync("full", new GpuWait("full", 1, Now, false, "", "no GPU", ""), default);
        Assert.Equal("no GPU", (await gpus.WaitOfAsync("full", default))!.Reason);

        var hooks = new WebhookStore(redis.Store);
        var secret = Assert.Single(await hooks.SecretsAsync("full", Now, default));
        var rotated = await hooks.RotateAsync("full", Now, default);
        Assert.Equal([rotated, secret], await hooks.SecretsAsync("full", Now, default));

        var catalog = new CatalogStore(redis.Store);
        Assert.Equal(CatalogRefusal.None, (await catalog.PutAsync(new Template { Name = "t" }, default)).Refusal);
        Assert.Equal(
            CatalogRefusal.None,
            (await catalog.PutAsync(new Endpoint { Id = "full", Template = "t" }, default)).Refusal);
        var manifest = new ManifestFile { Templates = [new Template { Name = "m" }] };
        Assert.Equal(CatalogRefusal.None, (await catalog.ReplaceManifestAsync(manifest, default)).Refusal);
    }
}
