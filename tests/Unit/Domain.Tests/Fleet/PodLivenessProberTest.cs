using Sluice.Domain.Fleet;

namespace Sluice.Domain.Tests.Fleet;

public sealed class PodLivenessProberTest
{
    private static readonly DateTimeOffset Start = DateTimeOffset.UnixEpoch;

    private readonly List<TaskCompletionSource<bool>> asked = [];
    private readonly List<string> failures = [];
    private readonly PodLivenessProber witness;

    public PodLivenessProberTest() => witness = new PodLivenessProber((_, _) =>
    {
        asked.Add(new());
        return asked[^1].Task;
    }, failures.Add);

    [Fact]
    public void A_result_is_returned_when_it_is_available_and_requested_again_after_that()
    {
        Assert.Null(Lives());
        Assert.Null(Lives());
        Assert.Single(asked);
        asked[0].SetResult(true);
        Assert.True(Lives());
        Assert.Null(Lives());
        asked[1].SetResult(false);
        Assert.False(Lives());
        Assert.Equal(0, witness.Count);
    }

    [Fact]
    public void A_failing_host_is_reported_once_until_it_answers_again()
    {
        Faults("hung up");
        Faults("still");
        Assert.Equal(["hung up"], failures);
        Lives();
        asked[^1].SetResult(true);
        Assert.True(Lives());
        Lives();
        asked[^1].SetCanceled();
        Assert.Null(Lives());
        Assert.Equal(["hung up", "the call was cancelled"], failures);

        void Faults(string why)
        {
            Assert.Null(Lives());
            asked[^1].SetException(new InvalidOperationException(why));
            Assert.Null(Lives());
        }
    }

    [Fact]
    public void A_gateway_that_stops_reports_no_failure()
    {
        using var stop = new CancellationTokenSource();
        witness.IsRunning("p", Start, stop.Token);
        stop.Cancel();
        asked[0].SetCanceled(stop.Token);
        Assert.Null(witness.IsRunning("p", Start, stop.Token));
        Assert.Empty(failures);
    }

    [Fact]
    public void Results_that_are_not_requested_are_discarded_after_a_while()
    {
        for (var i = 0; i < 100; i++) witness.IsRunning($"p{i}", Start, default);
        asked[0].SetResult(false);
        var later = Start + PodLivenessProber.Patience;
        witness.IsRunning("p1", later, default);
        witness.DiscardOld(later);
        Assert.Equal(100, witness.Count);

        witness.DiscardOld(later + TimeSpan.FromTicks(1));
        Assert.Equal(1, witness.Count);
        Assert.Null(witness.IsRunning("p0", later, default));
        asked[^1].SetResult(true);
        Assert.True(witness.IsRunning("p0", later, default));
    }

    private bool? Lives() => witness.IsRunning("p", Start, default);
}
