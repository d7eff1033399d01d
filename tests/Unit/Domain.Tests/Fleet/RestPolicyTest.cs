using Sluice.Domain.Declarations;
using Sluice.Domain.Fleet;
using Sluice.Domain.Scaling;

namespace Sluice.Domain.Tests.Fleet;

public sealed class RestPolicyTest
{
    private static readonly DateTimeOffset Now = new(2026, 1, 1, 7, 59, 30, TimeSpan.Zero);
    private static readonly DateTimeOffset Open = DateTimeOffset.MaxValue;
    private static readonly FleetSnapshot NoPods = new(false, [], new HashSet<string>());
    private static readonly EndpointSnapshot NoWork = new()
    {
        Now = Now, Queued = 0, OldestWait = default, Busy = 0, Completed = 7, Workers = [], Leases = [],
    };

    [Fact]
    public void An_endpoint_without_workers_and_work_rests_until_something_happens() =>
        Assert.Equal(Open, Decide());

    [Fact]
    public void Failed_pods_do_not_keep_an_endpoint_awake()
    {
        Assert.Equal(Open, Decide(fleet: NoPods with { Pods = [Pod(PodState.Failed)] }));
        foreach (var state in Enum.GetValues<PodState>().Where(s => s != PodState.Failed))
            Assert.Null(Decide(fleet: NoPods with { Pods = [Pod(PodState.Failed), Pod(state)] }));
    }

    [Fact]
    public void Work_and_workers_in_dispatch_keep_an_endpoint_awake()
    {
        Assert.Null(Decide(dispatch: NoWork with { Queued = 1 }));
        Assert.Null(Decide(dispatch: NoWork with { JobsRunning = 1 }));
        Assert.Null(Decide(dispatch: NoWork with { Refused = 1 }));
        Assert.Null(Decide(dispatch: NoWork with { Workers = [new WorkerSlots("p", 1, 1, 0, false)] }));
        Assert.Null(Decide(dispatch: NoWork with { Leases = [new HeldSlots("g", "p", 1)] }));
    }

    [Fact]
    public void A_policy_that_wants_workers_keeps_an_endpoint_awake()
    {
        Assert.Null(Decide(new ScalePolicy { Min = 1 }));
        // No worker is wanted while the endpoint is paused.
        Assert.Equal(Open, Decide(new ScalePolicy { Min = 1, Pause = Pause.Queue }));
        Assert.Equal(Open, Decide(new ScalePolicy { Max = 0 }));
    }

    [Fact]
    public void An_endpoint_rests_until_the_first_of_its_schedules_begins()
    {
        var policy = new ScalePolicy
        {
            Schedules = [Schedule("0 9 * * *"), Schedule("0 8 * * *"), Schedule("30 8 * * *")],
        };
        Assert.Equal(Now.AddSeconds(30), Decide(policy));
    }

    [Fact]
    public void An_endpoint_rests_until_its_daily_limit_ends()
    {
        var policy = new ScalePolicy { Min = 1, DailyWorkerTime = TimeSpan.FromMinutes(1) };
        var spent = ScaleState.Initial with
        {
            Spending = new Spending(DateOnly.FromDateTime(Now.UtcDateTime), TimeSpan.FromMinutes(2)),
        };
        Assert.Equal(new DateTimeOffset(2026, 1, 2, 0, 0, 0, TimeSpan.Zero), Decide(policy, state: spent));
    }

    [Fact]
    public void After_failed_starts_an_endpoint_stays_awake_until_requests_are_accepted_again()
    {
        var backoff = StartBackoff.None.Failed(Now, "x").Failed(Now, "x").Failed(Now, "x");
        Assert.Null(Decide(backoff: backoff));
        Assert.Null(Decide(backoff: backoff, now: backoff.NextTry.AddSeconds(1)));
        Assert.Equal(Open, Decide(backoff: backoff, now: backoff.NextTry.AddSeconds(2)));
    }

    [Fact]
    public void Passes_over_endpoints_at_rest_are_spread_evenly_and_at_most_a_minute_apart()
    {
        var next = Enumerable.Range(0, 1200).Select(n => RestPolicy.Limit($"e{n}", Open, Now)).ToList();
        Assert.All(next, t => Assert.InRange(t - Now, TimeSpan.FromTicks(1), RestPolicy.Longest));
        var perSecond = next.CountBy(t => (int)(t - Now).TotalSeconds).ToDictionary();
        Assert.InRange(perSecond.Values.Max(), 20, 50);
        // Each endpoint keeps its time within the minute.
        Assert.All(next.Take(9), t => Assert.Equal(
            t + RestPolicy.Longest, RestPolicy.Limit($"e{next.IndexOf(t)}", Open, t)));
        Assert.Equal(Now.AddMilliseconds(1), RestPolicy.Limit("e0", Now.AddMilliseconds(1), Now));
    }

    [Fact]
    public void Jobs_are_swept_when_their_data_is_due()
    {
        Assert.Equal(Now, RestPolicy.NextSweep("e", TimeSpan.Zero, Now));
        Assert.Equal(RestPolicy.Limit("e", Open, Now), RestPolicy.NextSweep("e", null, Now));
        Assert.Equal(RestPolicy.Limit("e", Open, Now), RestPolicy.NextSweep("e", TimeSpan.MaxValue, Now));
    }

    private static DateTimeOffset? Decide(
        ScalePolicy? policy = null,
        FleetSnapshot? fleet = null,
        EndpointSnapshot? dispatch = null,
        ScaleState? state = null,
        StartBackoff? backoff = null,
        DateTimeOffset? now = null)
    {
        var scaling = policy ?? new ScalePolicy();
        var deployment = new Deployment(
            new Endpoint { Id = "e", Template = "t", Scaling = scaling }, new Template { Name = "t" });
        var plan = FleetPlan.Make(deployment, "f", fleet ?? NoPods, dispatch ?? NoWork,
            state ?? ScaleState.Initial with { Completed = 7 }, backoff ?? StartBackoff.None, now ?? Now);
        return RestPolicy.Decide(
            scaling, fleet ?? NoPods, dispatch ?? NoWork, plan, backoff ?? StartBackoff.None, now ?? Now);
    }

    private static ScheduledMinimum Schedule(string cron) =>
        new() { Cron = cron, Min = 1, For = TimeSpan.FromMinutes(10) };

    private static Pod Pod(PodState state) => new()
    {
        Id = $"p-{state}", EndpointId = "e", Template = "t", HostId = "h", State = state, Fingerprint = "f",
        StartedAt = Now.AddHours(-1),
    };
}
