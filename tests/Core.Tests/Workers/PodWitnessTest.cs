using Sluice.Core.Workers;

namespace Sluice.Core.Tests.Workers;

public sealed class PodWitnessTest
{
    [Fact]
    public void An_answer_is_taken_when_it_is_there_and_asked_for_anew_after_that()
    {
        var answers = new Queue<TaskCompletionSource<bool?>>([new(), new(), new()]);
        var asked = new List<TaskCompletionSource<bool?>>();
        var witness = new PodWitness((_, _) =>
        {
            asked.Add(answers.Dequeue());
            return asked[^1].Task;
        });
        Assert.Null(witness.Lives("p", default));
        Assert.Null(witness.Lives("p", default));
        Assert.Single(asked);
        asked[0].SetResult(true);
        Assert.True(witness.Lives("p", default));
        Assert.Null(witness.Lives("p", default));
        asked[1].SetException(new InvalidOperationException("hung up"));
        Assert.Null(witness.Lives("p", default));
        Assert.Null(witness.Lives("p", default));
        asked[2].SetResult(false);
        Assert.False(witness.Lives("p", default));
    }
}
