using Microsoft.Extensions.DependencyInjection;
using Sluice.ControlPlane.Leadership;
using Sluice.ControlPlane.Reconciliation;
using Sluice.ControlPlane.Scheduling;
using Sluice.Domain.Declarations;
using Sluice.Domain.Fleet;
using Sluice.Storage.Catalog;
using Sluice.Storage.Fleet;
using Sluice.Storage.Jobs;
using Sluice.Storage.Queueing;
using Sluice.Storage.Tests.Jobs;
using Sluice.Testing;

namespace Sluice.Storage.Tests.ControlPlane;

/// <summary>
/// The rounds skip endpoints at rest, and cover them again when something happens. A visit of a round is visible in
/// Redis: it stores the time of the reaping. Time advances by hand, a second after each visit of an endpoint that is
/// never at rest.
/// </summary>
public sealed class RestingEndpointsTest : IClassFixture<RedisFixture>, IAsyncLifetime
{
    private const string Awake = "awake";
    private const int Rounds = 20;
    private const int SettlingRounds = 3;

    /// <summary>Polls without a round after which time advances nevertheless, as before the first round.</summary>
    private const int Stall = 50;

    /// <summary>Within this time an event has its effect. The pass that needs no event comes later.</summary>
    private static readonly TimeSpan Soon = TimeSpan.FromSeconds(20);

    private static readonly DateTimeOffset Begins = new(2026, 1, 1, 8, 0, 0, TimeSpan.Zero);

    private readonly RedisFixture redis;
    private readonly ManualTime time = new(Begins.AddMinutes(-2));
    private readonly ScriptedHost host = new();
    private readonly ServiceProvider services;

    /// <summary>An endpoint whose passes without an event are in the second half of a minute.</summary>
    private readonly string endpoint = Enumerable.Range(0, int.MaxValue).Select(_ => $"e{Guid.NewGuid():N}"[..12])
        .First(e => RestPolicy.Limit(e, DateTimeOffset.MaxValue, Begins) - Begins > RestPolicy.Longest / 2);

    public RestingEndpointsTest(RedisFixture redis)
    {
        this.redis = redis;
        services = TestControlPlane.Build(redis.Store, redis.Store, host, time);
    }

    /// <summary>What the leader remembers of the endpoints that it has visited.</summary>
    private EndpointReconcileStates States => services.GetRequiredService<EndpointReconcileStates>();

    private RestingEndpoints Resting => services.GetRequiredService<RestingEndpoints>();

    public async ValueTask InitializeAsync()
    {
        await DeclareAsync(new ScalePolicy());
        await services.GetRequiredService<Reconciler>().StartAsync(default);
    }

    public async ValueTask DisposeAsync()
    {
        var stopping = services.GetRequiredService<Reconciler>().StopAsync(default);
        await Eventually.HoldsAsync(() =>
        {
            time.Advance(ReconcileQueue.TickEvery);
            return stopping.IsCompleted;
        }, "the stop of the gateway");
        await stopping;
        await services.DisposeAsync();
    }

    [Fact]
    public async Task Rounds_skip_an_endpoint_at_rest_and_visit_one_with_a_worker()
    {
        await RestAsync();
        var visit = await VisitAsync(endpoint);
        await RunRoundsAsync();
        Assert.Equal(visit, await VisitAsync(endpoint));
        Assert.False(Resting.IsResting(Awake));
    }

    [Fact]
    public async Task A_ticket_whose_message_was_lost_starts_a_worker()
    {
        await RestAsync();
        // No gateway receives the messages of dispatch here.
        await new DispatchScripts(redis.Store).AcquireAsync(new DispatchKeys(endpoint), endpoint, "g~0", true,
            TimeSpan.FromHours(1), 10, 0, [new TicketRequest("t", "f", TimeSpan.FromHours(1), false)]);
        await HasSoonAsync(HasPodAsync, "a worker for the ticket");
    }

    [Fact]
    public async Task A_job_whose_message_was_lost_starts_a_worker()
    {
        await RestAsync();
        var jobs = new JobStore(redis.Store, new PayloadStore(redis.Store, "/nowhere"));
        await jobs.SubmitAsync(JobStoreTest.Job(endpoint, "j"), default);
        await HasSoonAsync(HasPodAsync, "a worker for the job");
    }

    [Fact]
    public async Task A_lease_of_a_lost_gateway_is_ended_by_a_gateway_that_does_not_lead()
    {
        await RestAsync();
        // Another gateway leads from now on, and its rounds do not run.
        var other = await ReplaceLeaderAsync();
        await TickUntilAsync(async () =>
        {
            await other.RenewAsync(default);
            return !services.GetRequiredService<LeaderElection>().IsLeader && Resting.IsResting(endpoint);
        }, "rest on a gateway that does not lead");
        var scripts = new DispatchScripts(redis.Store);
        var keys = new DispatchKeys(endpoint);
        await scripts.AcquireAsync(keys, endpoint, "lost~0", true, TimeSpan.FromMilliseconds(1), 10, 0,
            [new TicketRequest("t", "f", TimeSpan.FromHours(1), false)]);
        await TickUntilAsync(async () =>
        {
            await other.RenewAsync(default);
            return !await redis.Store.Database.KeyExistsAsync(keys.Queue);
        }, "the end of the lease and its ticket");
        await other.ResignAsync();
    }

    [Fact]
    public async Task A_worker_in_dispatch_that_no_round_has_seen_wakes_its_endpoint()
    {
        await RestAsync();
        var visit = await VisitAsync(endpoint);
        await redis.Store.Database.HashSetAsync(new DispatchKeys(endpoint).Capacity, "p", 1);
        await HasSoonAsync(async () => await VisitAsync(endpoint) != visit, "a visit");
    }

    [Fact]
    public async Task A_message_wakes_an_endpoint_without_a_tick()
    {
        await RestAsync();
        await VisitsWithoutTickAsync(() =>
        {
            services.GetRequiredService<WorkerSlotStore>().Wake(endpoint);
            return Task.CompletedTask;
        });
    }

    [Fact]
    public async Task A_changed_declaration_wakes_its_endpoint_without_a_tick()
    {
        await RestAsync();
        await VisitsWithoutTickAsync(() => DeclareAsync(new ScalePolicy { Max = 7 }));
    }

    [Fact]
    public async Task A_scheduled_minimum_starts_on_time()
    {
        await DeclareAsync(new ScalePolicy
        {
            Schedules = [new ScheduledMinimum { Cron = "0 8 * * *", Min = 1, For = TimeSpan.FromMinutes(10) }],
        });
        await TickUntilAsync(() => Task.FromResult(time.GetUtcNow() > Begins.AddSeconds(-40)), "before eight");
        // A visit of each minute may have begun.
        await TickUntilAsync(() => Task.FromResult(Resting.IsResting(endpoint)), "its rest before eight");
        await TickUntilAsync(() => Task.FromResult(time.GetUtcNow() > Begins.AddSeconds(-5)), "five seconds to eight");
        Assert.False(await HasPodAsync());
        await HasSoonAsync(HasPodAsync, "the scheduled worker");
    }

    [Fact]
    public async Task An_endpoint_at_rest_is_visited_within_a_minute_if_no_event_was_noticed()
    {
        await RestAsync();
        var visit = await VisitAsync(endpoint);
        var waited = await TickUntilAsync(async () => await VisitAsync(endpoint) != visit, "a visit");
        Assert.InRange(waited, TimeSpan.Zero, RestPolicy.Longest + TimeSpan.FromSeconds(5));
    }

    [Fact]
    public async Task A_new_leader_visits_all_endpoints()
    {
        await RestAsync();
        var epoch = services.GetRequiredService<LeaderElection>().Epoch;
        await (await ReplaceLeaderAsync()).ResignAsync();
        await HasSoonAsync(
            async () => (long)await redis.Store.Database.StringGetAsync($"sluice:{{{endpoint}}}:epoch") > epoch + 1,
            "a visit with the new epoch");
        await RestAsync();
    }

    [Fact]
    public async Task A_round_of_all_endpoints_visits_those_at_rest()
    {
        await RestAsync();
        // A restored connection to Redis requests it: messages may have been lost.
        await VisitsWithoutTickAsync(() =>
        {
            services.GetRequiredService<ReconcileQueue>().RequestAll();
            return Task.CompletedTask;
        });
    }

    [Fact]
    public async Task Time_at_rest_is_not_the_time_of_the_requests_after_it()
    {
        await RestAsync();
        await RunRoundsAsync();
        await new DispatchScripts(redis.Store).AcquireAsync(new DispatchKeys(endpoint), endpoint, "g~0", true,
            TimeSpan.FromHours(1), 100, 0,
            [.. Enumerable.Range(0, 50).Select(n => new TicketRequest($"t{n}", "f", TimeSpan.FromHours(1), false))]);
        await HasSoonAsync(HasPodAsync, "a worker");
        var state = await new ScalingDecisionStore(redis.Store).StateAsync(endpoint, default);
        // 50 requests within seconds: a mean over the whole rest would be far lower.
        Assert.InRange(state!.Value.Traffic.Now.Mean, 5, double.MaxValue);
    }

    private async Task DeclareAsync(ScalePolicy policy, params string[] others)
    {
        await services.GetRequiredService<CatalogStore>().ReplaceManifestAsync(new ManifestFile
        {
            Templates = [new Template { Name = "t", Protocol = WorkerProtocol.Http1 }],
            Endpoints =
            [
                new Endpoint { Id = endpoint, Template = "t", Scaling = policy },
                new Endpoint { Id = Awake, Template = "t", Scaling = new ScalePolicy { Min = 1 } },
                .. others.Select(o => new Endpoint { Id = o, Template = "t" }),
            ],
        }, default);
        await services.GetRequiredService<CatalogWatcher>().RefreshAsync(default);
    }

    /// <summary>
    /// Waits until the endpoint is at rest on the leader, and its pass without an event is neither soon nor just due.
    /// </summary>
    private async Task RestAsync()
    {
        await TickUntilAsync(RestsAsync, "the rest of the endpoint");
        // A new leader can cover all endpoints twice: in its first round, and by the request of the renewal.
        await RunRoundsAsync(SettlingRounds);
        await TickUntilAsync(RestsAsync, "the rest of the endpoint after further rounds");
    }

    private Task<bool> RestsAsync()
    {
        var left = RestPolicy.Limit(endpoint, DateTimeOffset.MaxValue, time.GetUtcNow()) - time.GetUtcNow();
        return Task.FromResult(
            Resting.IsResting(endpoint) && States.Find(endpoint) is not null
            && left > 2 * Soon && left < RestPolicy.Longest - Soon / 4);
    }

    /// <summary>Waits until several rounds have visited the other endpoint.</summary>
    private async Task RunRoundsAsync(int count = Rounds)
    {
        var (rounds, last) = (0, await VisitAsync(Awake));
        await TickUntilAsync(async () =>
        {
            var visit = await VisitAsync(Awake);
            if (visit != last) (rounds, last) = (rounds + 1, visit);
            return rounds == count;
        }, "rounds");
    }

    /// <summary>Another gateway becomes the leader.</summary>
    private async Task<LeaderElection> ReplaceLeaderAsync()
    {
        var other = new LeaderElection(redis.Store, "other");
        await Eventually.HoldsAsync(async () =>
        {
            await redis.Store.Database.KeyDeleteAsync("sluice:{leader}:holder");
            await other.RenewAsync(default);
            return other.IsLeader;
        }, "another leader");
        return other;
    }

    /// <summary>Waits until a round visits the endpoint. Time advances for the pause between two rounds only.</summary>
    private async Task VisitsWithoutTickAsync(Func<Task> wake)
    {
        var before = States.Find(endpoint)!.Scale.At;
        await wake();
        await Eventually.HoldsAsync(() =>
        {
            time.Advance(ReconcileQueue.Debounce / 100);
            return States.Find(endpoint)!.Scale.At != before;
        }, "the visit");
    }

    private async Task HasSoonAsync(Func<Task<bool>> holds, string what) =>
        Assert.InRange(await TickUntilAsync(holds, what), TimeSpan.Zero, Soon);

    /// <summary>Advances time with the rounds until a condition holds. Returns how much it advanced.</summary>
    private async Task<TimeSpan> TickUntilAsync(Func<Task<bool>> holds, string what)
    {
        var (began, last, polls) = (time.GetUtcNow(), await VisitAsync(Awake), Stall);
        await Eventually.HoldsAsync(async () =>
        {
            if (await holds()) return true;
            var visit = await VisitAsync(Awake);
            if (visit == last && ++polls < Stall) return false;
            (last, polls) = (visit, 0);
            time.Advance(ReconcileQueue.TickEvery);
            return false;
        }, what);
        return time.GetUtcNow() - began;
    }

    private async Task<string?> VisitAsync(string id) =>
        await redis.Store.Database.HashGetAsync(new DispatchKeys(id).Meta, "reaped");

    private async Task<bool> HasPodAsync() =>
        (await services.GetRequiredService<PodStore>().ListAsync(endpoint, default)).Count > 0;
}
