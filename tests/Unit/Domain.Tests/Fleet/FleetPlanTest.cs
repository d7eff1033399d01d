using Sluice.Domain.Declarations;
using Sluice.Domain.Fleet;
using Sluice.Domain.Scaling;

namespace Sluice.Domain.Tests.Fleet;

/// <summary>The planned changes to an endpoint's pods.</summary>
public sealed class FleetPlanTest
{
    private static readonly DateTimeOffset Now = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);
    private static readonly Deployment Digits = new(
        new Endpoint
        {
            Id = "digits",
            Template = "t",
            Scaling = new ScalePolicy { Scaler = Scaler.RequestCount, Max = 5, IdleTimeout = TimeSpan.FromSeconds(10) },
        },
        new Template { Name = "t" });

    [Fact]
    public void Required_workers_are_started_only_once()
    {
        Assert.Equal(2, Plan([], queued: 16).Start);
        Assert.Equal(0, Plan([Pod("a", PodState.Starting), Pod("b", PodState.Starting)], queued: 16).Start);
    }

    [Fact]
    public void Idle_workers_drain_first_and_the_youngest_of_equals()
    {
        Pod[] pods = [Pod("busy", PodState.Ready, 1), Pod("old", PodState.Ready, 2), Pod("young", PodState.Ready, 3)];
        var plan = Plan(pods, busy: 8, leased: new() { ["busy"] = 8 }, state: new ScaleState(Now.AddMinutes(-1), 1, 0));
        Assert.Equal(["young", "old"], plan.Drain);
    }

    [Fact]
    public void New_pods_of_a_changed_declaration_start_before_the_old_ones_drain()
    {
        Pod[] before = [Pod("a", PodState.Ready, fingerprint: "old")];
        var first = Plan(before, busy: 4);
        Assert.Equal((1, 0), (first.Start, first.Drain.Count));
        var during = Plan([.. before, Pod("b", PodState.Starting)], busy: 4);
        Assert.Equal((0, 0), (during.Start, during.Drain.Count));
        var then = Plan([.. before, Pod("b", PodState.Ready)], busy: 4);
        Assert.Equal(["a"], then.Drain);
    }

    [Fact]
    public void An_idle_worker_of_an_earlier_declaration_stays_until_its_successor_is_ready()
    {
        Pod[] idle = [Pod("old", PodState.Ready, fingerprint: "old")];
        var first = Plan(idle);
        Assert.Equal((1, 0), (first.Start, first.Drain.Count));
        Assert.Empty(Plan([.. idle, Pod("new", PodState.Starting)]).Drain);
        Assert.Equal(["old"], Plan([.. idle, Pod("new", PodState.Ready)]).Drain);
        // Between two tries, and after the idle timeout.
        var backoff = StartBackoff.None.Failed(Now, "x");
        Assert.Empty(Plan(idle, backoff: backoff).Drain);
        var unwanted = new ScaleState(Now.AddMinutes(-1), 0, 0) { IdleSince = Now.AddMinutes(-1) };
        Assert.Equal(["old"], Plan(idle, state: unwanted).Drain);
        Assert.Empty(Plan(idle, state: unwanted, backoff: backoff).Drain);
        // Only one outdated pod is kept.
        Pod[] two = [Pod("old", PodState.Ready, fingerprint: "old"), Pod("young", PodState.Ready, 5, "old")];
        Assert.Equal(["young"], Plan(two, state: unwanted, backoff: backoff).Drain);
    }

    [Fact]
    public void A_pause_drains_also_a_worker_whose_successors_fail()
    {
        var policy = Digits.Endpoint.Scaling with { Pause = Pause.Queue };
        var paused = Digits with { Endpoint = Digits.Endpoint with { Scaling = policy } };
        Pod[] old = [Pod("old", PodState.Ready, fingerprint: "old")];
        var backoff = StartBackoff.None.Failed(Now, "x");
        Assert.Equal(["old"], Plan(old, backoff: backoff, declared: paused).Drain);
    }

    [Fact]
    public void Requests_that_failed_starts_rejected_count_as_demand_for_one_worker_at_the_next_try()
    {
        var backoff = StartBackoff.None.Failed(Now, "x").Failed(Now, "x").Failed(Now, "x");
        Assert.Equal(0, Plan([], backoff: backoff, refused: 40).Start);
        Assert.Equal(1, Plan([], backoff: backoff, refused: 40, now: backoff.NextTry).Start);
        Assert.Equal(0, Plan([], backoff: backoff, now: backoff.NextTry).Start);
        Assert.Equal(0, Plan([], refused: 40).Start);
    }

    [Fact]
    public void Draining_pods_resume_before_any_pod_is_started()
    {
        Pod[] pods =
        [
            Pod("idle", PodState.Draining, 1),
            Pod("busy", PodState.Ready, 2),
            Pod("gone", PodState.Stopping, 3),
        ];
        var plan = Plan(pods, queued: 8, leased: new() { ["busy"] = 1 }, ordered: ["idle", "busy", "gone"]);
        Assert.Equal((0, 0), (plan.Start, plan.Drain.Count));
        Assert.Equal(["busy"], plan.Resume);
        // A stopping pod cannot resume and is replaced. More pods are started only within max, which includes stopping
        // pods.
        var more = Plan(pods, queued: 80, ordered: ["idle", "busy", "gone"]);
        Assert.Equal(2, more.Resume.Count);
        Assert.Equal(2, more.Start);
    }

    [Fact]
    public void A_restored_declaration_resumes_its_draining_workers()
    {
        Pod[] pods = [Pod("first", PodState.Draining), Pod("second", PodState.Ready, 1, fingerprint: "other")];
        var plan = Plan(pods, busy: 4, ordered: ["first"]);
        Assert.Equal((0, "first"), (plan.Start, Assert.Single(plan.Resume)));
        Assert.Empty(plan.Drain);
        Assert.Equal(["second"], Plan([Pod("first", PodState.Ready), pods[1]], busy: 4).Drain);
    }

    [Fact]
    public void After_a_failed_start_one_worker_is_tried_when_the_pause_is_over()
    {
        var backoff = StartBackoff.None.Failed(Now, "x");
        Assert.Equal(0, Plan([], queued: 40, backoff: backoff).Start);
        Assert.Equal(1, Plan([], queued: 40, backoff: backoff, now: Now.AddSeconds(0.5)).Start);
    }

    [Fact]
    public void Failing_starts_are_limited_to_twelve_in_ten_minutes_and_then_one_in_five()
    {
        var backoff = StartBackoff.None;
        var (tries, now) = (0, Now);
        while (now < Now.AddMinutes(10))
        {
            tries++;
            backoff = backoff.Failed(now, "x");
            now = backoff.NextTry;
        }

        Assert.InRange(tries, 9, 12);
        Assert.True(backoff.Blocks);
        Assert.Equal(TimeSpan.FromMinutes(5), backoff.Failed(now, "x").NextTry - now);
    }

    [Fact]
    public void A_worker_that_was_ready_is_replaced_immediately_and_its_exits_never_block_requests()
    {
        var backoff = StartBackoff.None;
        var pauses = new List<double>();
        for (var i = 0; i < 7; i++)
        {
            backoff = backoff.Died(Now, "killed");
            pauses.Add((backoff.NextTry - Now).TotalSeconds);
        }

        Assert.Equal([0, 0.5, 1, 1, 1, 1, 1], pauses);
        Assert.False(backoff.Blocks);
        Assert.Equal(1, Plan([], queued: 4, backoff: StartBackoff.None.Died(Now, "killed")).Start);
    }

    [Fact]
    public void The_load_contains_the_duration_of_past_and_present_starts()
    {
        Pod[] pods =
        [
            Pod("first", PodState.Ready, -100) with { ReadyAt = Now.AddSeconds(-90) },
            Pod("last", PodState.Ready, -20) with { ReadyAt = Now.AddSeconds(-16) },
            Pod("a", PodState.Starting, -3),
            Pod("b", PodState.Starting, -1),
        ];
        var load = Plan(pods, busy: 32).Load;
        Assert.Equal((2, 2, TimeSpan.FromSeconds(2)), (load.Ready, load.Starting, load.StartingFor));
        Assert.Equal((TimeSpan.FromSeconds(4), Now.AddSeconds(-16)), (load.LastStart, load.LastReadyAt));
    }

    [Fact]
    public void Worker_time_is_the_time_of_all_live_pods_since_the_last_round()
    {
        Pod[] pods =
        [
            Pod("long", PodState.Ready, -100),
            Pod("drains", PodState.Draining, -100),
            Pod("old", PodState.Ready, -100, "old"),
            Pod("new", PodState.Starting, -2),
            Pod("dead", PodState.Failed, -100),
        ];
        var seen = ScaleState.Initial with { At = Now.AddSeconds(-5) };
        Assert.Equal(TimeSpan.FromSeconds(5 + 5 + 5 + 2), Plan(pods, state: seen).Load.WorkerTime);
    }

    private static FleetPlan Plan(
        Pod[] pods,
        int queued = 0,
        int busy = 0,
        Dictionary<string, int>? leased = null,
        ScaleState? state = null,
        StartBackoff? backoff = null,
        DateTimeOffset? now = null,
        string[]? ordered = null,
        int refused = 0,
        Deployment? declared = null)
    {
        var fleet = new FleetSnapshot(false, pods, (ordered ?? []).ToHashSet());
        var snapshot = new EndpointSnapshot
        {
            Now = Now,
            Queued = queued,
            OldestWait = TimeSpan.Zero,
            Busy = busy,
            Completed = 0,
            Refused = refused,
            Workers = [.. pods.Where(p => p.State == PodState.Ready).Select(Slots)],
            Leases = [],
        };
        return FleetPlan.Make(declared ?? Digits, "new", fleet, snapshot,
            state ?? new ScaleState(null, 0, 0), backoff ?? StartBackoff.None, now ?? Now);

        WorkerSlots Slots(Pod pod)
        {
            var used = leased?.GetValueOrDefault(pod.Id) ?? 0;
            return new WorkerSlots(pod.Id, 8, 8 - used, used, false);
        }
    }

    private static Pod Pod(string id, PodState state, int age = 0, string fingerprint = "new") => new()
    {
        Id = id,
        EndpointId = "digits",
        Template = "t",
        HostId = "h",
        State = state,
        Fingerprint = fingerprint,
        StartedAt = Now.AddSeconds(age),
    };
}
