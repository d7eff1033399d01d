using Microsoft.Extensions.Logging.Abstractions;
using Sluice.Dispatch;
using Sluice.Domain.Fleet;
using Sluice.Storage.Jobs;
using Sluice.Storage.Tests.Jobs;
using Sluice.Testing;

namespace Sluice.Storage.Tests.Dispatch;

/// <summary>Data that Redis lost, and deleted endpoints.</summary>
public sealed partial class DispatcherTest
{
    [Fact]
    public Task After_Redis_loses_its_last_writes_no_slot_is_lost_and_no_fence_is_used_twice() =>
        WithOwnRedisAsync(async own =>
    {
        var jobs = new JobStore(own.Store, new PayloadStore(own.Store, "/nowhere"));
        var (gateway, runner, fences) = (await GatewayAsync("a", own.Store), new Runner(), new HashSet<string>());
        gateway.Runner = runner;
        await store.UpAsync(endpoint, Worker("p1", 2), Soon);
        foreach (var id in new[] { "ends", "runs" }) await jobs.SubmitAsync(JobStoreTest.Job(endpoint, id), Soon);
        // First, both claims and the end of one of them are lost; then only that end.
        var claimed = await RollBackAsync(own.CopyLog());
        claimed = await RollBackAsync(null, claimed);
        foreach (var grant in claimed)
        {
            Assert.True((await jobs.CompleteAsync(grant, "1"u8.ToArray(), default, Soon)).Ended);
            grant.Dispose();
        }

        await QuietAsync();
        Assert.Equal(0, gateway.Busy(endpoint));
        Assert.Empty((await new JobQueries(own.Store, jobs).CheckAsync(endpoint, Soon)).Violations);

        async Task<JobGrant[]> RollBackAsync(string? before, JobGrant[]? running = null)
        {
            gateway.JobQueued(endpoint);
            running ??= await NextAsync();
            var copy = before ?? own.CopyLog();
            var ending = running.Single(g => g.Claim.Id == "ends");
            Assert.True((await jobs.CompleteAsync(ending, "1"u8.ToArray(), default, Soon)).Ended);
            ending.Dispose();
            await own.RollBackAsync(copy);
            if (before is null)
            {
                var again = await runner.NextAsync(Soon);
                Assert.Equal("ends", again.Claim.Id);
                Assert.True(fences.Add($"{again.Claim.Id} {again.Claim.Fence}"));
                return [again, running.Single(g => g != ending)];
            }

            var lost = running.Single(g => g != ending);
            var stopped = new TaskCompletionSource();
            await using var registration = lost.Stopped.Register(() => stopped.SetResult());
            var both = NextAsync();
            await stopped.Task.WaitAsync(Soon);
            lost.Dispose();
            return await both;
        }

        async Task<JobGrant[]> NextAsync()
        {
            JobGrant[] two = [await runner.NextAsync(Soon), await runner.NextAsync(Soon)];
            Assert.All(two, g => Assert.Equal(1, g.Claim.Attempt));
            Assert.All(two, g => Assert.True(fences.Add($"{g.Claim.Id} {g.Claim.Fence}")));
            return two;
        }
    });

    [Fact]
    public async Task The_loop_of_a_deleted_endpoint_ends_and_other_loops_continue()
    {
        var time = new ManualTime();
        var gateway = new Dispatcher(
            new GatewayId($"a-{Guid.NewGuid():N}"),
            redis.Store,
            store,
            time,
            NullLogger<Dispatcher>.Instance);
        started.Add(gateway);
        await gateway.StartAsync(default);
        await gateway.Subscribed;
        var declared = endpoint + "-declared";
        foreach (var id in new[] { endpoint, declared }) await store.UpAsync(id, Worker("p1", 1), Soon);
        var inUse = await AcquireAsync(gateway);
        (await gateway.AcquireAsync(declared, Request(), Soon)).Slot!.Dispose();
        gateway.Retain([declared]);
        for (var tick = 0; tick < 200; tick++) await TickAsync();
        Assert.Equal(2, gateway.Loops);

        inUse.Slot!.Dispose();
        while (gateway.Loops == 2) await TickAsync();
        for (var tick = 0; tick < 200; tick++) await TickAsync();
        Assert.Equal(1, gateway.Loops);
        // To a clock as fast as this one, Redis can seem unreachable, and the loop pauses. So it runs until the answer,
        // but slower than Redis answers.
        var again = gateway.AcquireAsync(declared, Request(), Soon).AsTask();
        await Eventually.HoldsAsync(
            () =>
            {
                time.Advance(TimeSpan.FromMilliseconds(100));
                return Task.FromResult(again.IsCompleted);
            },
            "the other loop answers");
        (await again).Slot!.Dispose();

        async Task TickAsync()
        {
            Soon.ThrowIfCancellationRequested();
            time.Advance(Leases.RenewEvery);
            await Task.Yield();
        }
    }
}
