using Sluice.Dispatch;
using Sluice.Domain.Declarations;
using Sluice.Domain.Fleet;
using Sluice.Storage.Queueing;
using Sluice.Testing;

namespace Sluice.Storage.Tests.Dispatch;

/// <summary>The dispatch state of one gateway in isolation, with synthetic answers of Redis.</summary>
public sealed class EndpointDispatchTest
{
    private static readonly SlotRequest Request = new("key", TimeSpan.FromSeconds(20), MaxDepth: 1000);
    private static readonly WorkerAddress Worker = new(
        "p1",
        new Uri("http://127.0.0.1:1"),
        WorkerProtocol.H2c,
        "token",
        1);

    private readonly EndpointDispatch dispatch;
    private readonly EndpointExchange exchange;

    public EndpointDispatchTest()
    {
        var time = new ManualTime();
        var state = new EndpointState("e", "g", time);
        dispatch = new EndpointDispatch(state, time);
        exchange = new EndpointExchange(state, dispatch, time);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_request_keeps_waiting_when_the_returned_slot_belongs_to_a_draining_or_removed_worker(bool goes)
    {
        var first = dispatch.AcquireAsync(Request, default).AsTask();
        var sent = exchange.TakeWork()!.Fresh;
        exchange.Apply(
            new AcquireAnswer(false, 0, [new SlotGrant(sent[0].Id, "p1")], [], [], [], ""),
            sent,
            new Dictionary<string, WorkerAddress> { ["p1"] = Worker });
        var slot = (await first).Slot!;
        var second = dispatch.AcquireAsync(Request, default).AsTask();
        if (goes) dispatch.OnDrain("p1");
        else dispatch.OnDown("p1");
        slot.Dispose();
        Assert.False(second.IsCompleted);
        Assert.Single(exchange.TakeWork()!.Fresh);
    }

    [Fact]
    public void A_known_claim_books_no_second_slot()
    {
        var workers = new Dictionary<string, WorkerAddress> { ["p1"] = Worker };
        var claim = new JobClaim("a", 1, "p1") { Token = "t" };
        var grant = Assert.Single(exchange.Apply([claim], workers));
        Assert.Empty(exchange.Apply([claim], workers));
        Assert.Equal([new("p1", 1)], exchange.Report(withQueued: false, TimeSpan.Zero).Slots);
        grant.Dispose();
        Assert.Equal(0, dispatch.Busy);
        // The same attempt number in a different claim: each claim has its slot until it has ended.
        var again = Assert.Single(exchange.Apply([claim with { Token = "u" }], workers));
        var third = Assert.Single(exchange.Apply([claim with { Token = "v" }], workers));
        Assert.Equal(2, dispatch.Busy);
        dispatch.OnStop("a");
        Assert.True(again.Stopped.IsCancellationRequested && third.Stopped.IsCancellationRequested);
        again.Dispose();
        third.Dispose();
        Assert.Equal(0, dispatch.Busy);
    }

    [Fact]
    public void A_slot_in_use_without_a_job_is_reported()
    {
        var workers = new Dictionary<string, WorkerAddress> { ["p1"] = Worker };
        var grants = exchange.Apply([new JobClaim("a", 1, "p1"), new JobClaim("b", 1, "p1")], workers);
        Assert.Equal(0, exchange.Report(withQueued: false, TimeSpan.Zero).Unowned);
        // A deliberate leak: the end is settled, and the slot is not returned.
        dispatch.Settle(grants[0]);
        Assert.Equal(1, exchange.Report(withQueued: false, TimeSpan.Zero).Unowned);
        foreach (var grant in grants) grant.Dispose();
        Assert.Equal(0, exchange.Report(withQueued: false, TimeSpan.Zero).Unowned);
    }
}
