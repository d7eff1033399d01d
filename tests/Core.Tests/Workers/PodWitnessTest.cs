using Sluice.Core.Workers;

namespace Sluice.Core.Tests.Workers;

public sealed class PodWitnessTest
{
    private static readonly DateTimeOffset Start = DateTimeOffset.UnixEpoch;

    private readonly List<TaskCompletionSource<bool>> asked = [];
    private readonly List<string> told = [];
    private readonly PodWitness witness;

    public PodWitnessTest() => witness = new PodWitness((_, _) =>
    {
        asked.Add(new());
        return asked[^1].Task;
    }, told.Add);

    [Fact]
    public void An_answer_is_taken_when_it_is_there_and_asked_for_anew_after_that()
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
    public void A_host_that_cannot_tell_is_told_of_once_until_it_answers_again()
    {
        Faults("hung up");
        Faults("still");
        Assert.Equal(["hung up"], told);
        Lives();
        asked[^1].SetResult(true);
        Assert.True(Lives());
        Lives();
        asked[^1].SetCanceled();
        Assert.Null(Lives());
        Assert.Equal(["hung up", "the call was cancelled"], told);

        void Faults(string why)
        {
            Assert.Null(Lives());
            asked[^1].SetException(new InvalidOperationException(why));
            Assert.Null(Lives());
        }
    }

    [Fact]
    public void A_gateway_that_stops_has_no_fault_to_tell()
    {
        using var stop = new CancellationTokenSource();
        witness.IsRunning("p", Start, stop.Token);
        stop.Cancel();
        asked[0].SetCanceled(stop.Token);
        Assert.Null(witness.IsRunning("p", Start, stop.Token));
        Assert.Empty(told);
    }

    [Fact]
    public void Pods_that_nobody_wants_to_know_about_are_forgotten_and_an_answer_of_another_time_is_none()
    {
        for (var i = 0; i < 100; i++) witness.IsRunning($"p{i}", Start, default);
        asked[0].SetResult(false);
        var later = Start + PodWitness.Patience;
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
