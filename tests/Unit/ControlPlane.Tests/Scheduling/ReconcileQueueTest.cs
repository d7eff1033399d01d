using Sluice.ControlPlane.Scheduling;
using Sluice.Testing;

namespace Sluice.ControlPlane.Tests.Scheduling;

public sealed class ReconcileQueueTest
{
    private readonly ManualTime time = new(DateTimeOffset.UnixEpoch);
    private readonly ReconcileQueue queue;

    public ReconcileQueueTest() => queue = new ReconcileQueue(time);

    [Fact]
    public async Task Requests_that_were_added_before_a_round_are_one_round()
    {
        queue.Request("a");
        queue.Request("b");
        queue.Request("a");
        var requests = await queue.TakeAsync(default);
        Assert.False(requests.AllEndpoints);
        Assert.Equal(["a", "b"], requests.Endpoints.Order());

        queue.RequestAll();
        queue.Request("c");
        requests = await queue.TakeAsync(default);
        Assert.True(requests.AllEndpoints);
        Assert.True(requests.DueEndpoints);
        Assert.Equal(["c"], requests.Endpoints);

        queue.RequestDue();
        requests = await queue.TakeAsync(default);
        Assert.False(requests.AllEndpoints);
        Assert.True(requests.DueEndpoints);
        Assert.Empty(requests.Endpoints);
    }

    [Fact]
    public async Task A_delayed_request_is_added_when_its_delay_has_passed()
    {
        var request = queue.RequestAfterAsync("late", TimeSpan.FromSeconds(2));
        var round = queue.TakeAsync(default);
        time.Advance(TimeSpan.FromSeconds(1));
        Assert.False(request.IsCompleted);
        time.Advance(TimeSpan.FromSeconds(1));
        await request;
        Assert.Equal(["late"], (await round).Endpoints);
    }
}
