using Sluice.Core.Dispatch;
using Sluice.Core.Endpoints;
using Sluice.Core.Jobs;
using Sluice.Testing;

namespace Sluice.Core.Tests.Dispatch;

/// <summary>One gateway's side of dispatch by itself: what Redis answers is made up.</summary>
public sealed class EndpointDispatchTest
{
    private static readonly SlotWish Wish = new("key", TimeSpan.FromSeconds(20), MaxDepth: 1000);
    private static readonly WorkerAddress Worker = new("p1", new Uri("http://127.0.0.1:1"), WorkerProtocol.H2c, "token", 1);

    private readonly EndpointDispatch dispatch = new("e", "g", new ManualTime());

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_request_waits_on_when_the_slot_that_comes_back_is_of_a_worker_that_goes_or_went(bool goes)
    {
        var first = dispatch.AcquireAsync(Wish, default).AsTask();
        var sent = dispatch.TakeWork()!.Fresh;
        dispatch.Apply(new AcquireAnswer(false, 0, [new SlotGrant(sent[0].Id, "p1")], [], [], [], ""), sent, new Dictionary<string, WorkerAddress> { ["p1"] = Worker });
        var slot = (await first).Slot!;
        var second = dispatch.AcquireAsync(Wish, default).AsTask();
        if (goes) dispatch.OnDrain("p1");
        else dispatch.OnDown("p1");
        slot.Dispose();
        Assert.False(second.IsCompleted);
        Assert.Single(dispatch.TakeWork()!.Fresh);
    }

    [Fact]
    public void A_claim_that_is_known_already_books_no_second_slot()
    {
        var workers = new Dictionary<string, WorkerAddress> { ["p1"] = Worker };
        var claim = new JobClaim("a", 1, "p1") { Token = "t" };
        var grant = Assert.Single(dispatch.Apply([claim], workers));
        Assert.Empty(dispatch.Apply([claim], workers));
        Assert.Equal([new("p1", 1)], dispatch.Report(withQueued: false, TimeSpan.Zero).Slots);
        grant.Dispose();
        Assert.Equal(0, dispatch.Busy);
        // Under the same number, by another claim: both have their slot, until each has ended.
        var again = Assert.Single(dispatch.Apply([claim with { Token = "u" }], workers));
        var third = Assert.Single(dispatch.Apply([claim with { Token = "v" }], workers));
        Assert.Equal(2, dispatch.Busy);
        dispatch.OnStop("a");
        Assert.True(again.Stopped.IsCancellationRequested && third.Stopped.IsCancellationRequested);
        again.Dispose();
        third.Dispose();
        Assert.Equal(0, dispatch.Busy);
    }

    [Fact]
    public void A_slot_that_is_in_use_for_no_job_is_reported()
    {
        var workers = new Dictionary<string, WorkerAddress> { ["p1"] = Worker };
        var grants = dispatch.Apply([new JobClaim("a", 1, "p1"), new JobClaim("b", 1, "p1")], workers);
        Assert.Equal(0, dispatch.Report(withQueued: false, TimeSpan.Zero).Unowned);
        // Leaked on purpose: what it came to is settled, and its slot is not given back.
        dispatch.Settle(grants[0]);
        Assert.Equal(1, dispatch.Report(withQueued: false, TimeSpan.Zero).Unowned);
        foreach (var grant in grants) grant.Dispose();
        Assert.Equal(0, dispatch.Report(withQueued: false, TimeSpan.Zero).Unowned);
    }
}
