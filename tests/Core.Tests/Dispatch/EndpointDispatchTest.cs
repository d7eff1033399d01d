using Sluice.Core.Dispatch;
using Sluice.Core.Endpoints;
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
}
