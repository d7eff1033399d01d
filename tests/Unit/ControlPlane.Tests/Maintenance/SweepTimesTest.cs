using Sluice.ControlPlane.Maintenance;
using Sluice.Domain.Fleet;
using Sluice.Storage.Jobs;

namespace Sluice.ControlPlane.Tests.Maintenance;

public sealed class SweepTimesTest
{
    private static readonly DateTimeOffset Now = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

    private readonly SweepTimes times = new();

    [Fact]
    public void An_endpoint_at_rest_is_swept_once_and_then_when_its_data_is_due()
    {
        Assert.True(times.IsDue("e", isResting: true, Now));
        times.Record("e", wasResting: true, new SweepAnswer(0, TimeSpan.FromMilliseconds(1)), Now);
        Assert.False(times.IsDue("e", isResting: true, Now));
        Assert.True(times.IsDue("e", isResting: true, Now.AddMilliseconds(1)));
        times.Record("e", wasResting: true, new SweepAnswer(1, null), Now);
        Assert.True(times.IsDue("e", isResting: true, Now + RestPolicy.Longest));
    }

    [Fact]
    public void An_endpoint_that_works_is_always_due_and_once_more_at_rest()
    {
        times.Record("e", wasResting: true, new SweepAnswer(0, null), Now);
        Assert.True(times.IsDue("e", isResting: false, Now));
        times.Record("e", wasResting: false, new SweepAnswer(0, null), Now);
        Assert.True(times.IsDue("e", isResting: true, Now));
    }

    [Fact]
    public void Times_of_undeclared_endpoints_and_of_an_earlier_term_are_discarded()
    {
        times.Record("e", wasResting: true, new SweepAnswer(0, null), Now);
        times.Retain(_ => true);
        Assert.False(times.IsDue("e", isResting: true, Now));
        times.Retain(_ => false);
        Assert.True(times.IsDue("e", isResting: true, Now));
        times.Record("e", wasResting: true, new SweepAnswer(0, null), Now);
        times.Clear();
        Assert.True(times.IsDue("e", isResting: true, Now));
    }
}
