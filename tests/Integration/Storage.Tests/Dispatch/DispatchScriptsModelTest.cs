using FsCheck;
using FsCheck.Fluent;
using Sluice.Domain.Fleet;
using Sluice.Domain.Jobs;
using Sluice.Storage.Jobs;
using Sluice.Storage.Queueing;
using Sluice.Testing;

namespace Sluice.Storage.Tests.Dispatch;

/// <summary>
/// Runs random operations on the real scripts in a real Redis, and on <see cref="DispatchModel"/>. After each
/// operation, both must return the same results, and the slots must add up.
/// </summary>
public sealed class DispatchScriptsModelTest(RedisFixture redis) : IClassFixture<RedisFixture>
{
    private static readonly int Runs = RandomCases.Count(150);

    private static readonly string[] Holders = ["g1~0", "g2~0", "g3~0"];
    private static readonly string[] Pods = ["p1", "p2", "p3"];

    /// <summary>What texts may use; 0: no text.</summary>
    private static readonly long[] Tokens = [0, 30, 100, 300];

    /// <summary>What the pods can hold.</summary>
    private static readonly TokenCapacity?[] Limits =
        [null, new(120, Unit: 16), new(256, Unit: 32, Doubles: true, Longest: 250)];

    private static int endpoints;

    /// <summary>One operation; the numbers select among the objects that exist when it runs.</summary>
    public sealed record Op(string Kind, int Who, int What, int N, bool Flag, bool Flag2);

    [Fact]
    public async Task Scripts_behave_as_the_model()
    {
        var op = from kind in Gen.Elements("acquire", "acquire", "acquire", "release", "release", "grant", "renew",
                     "abandon", "up", "up", "drain", "down", "block", "unblock",
                     "expire",
                     "reap",
                     "submit",
                     "submit",
                     "submit",
                     "claim",
                     "claim",
                     "claim",
                     "end",
                     "requeue",
                     "cancel")
                 from who in Gen.Choose(0, Holders.Length - 1)
                 from what in Gen.Choose(0, 20)
                 from n in Gen.Choose(0, 3)
                 from flag in Gen.Frequency((3, Gen.Constant(false)), (1, Gen.Constant(true)))
                 from flag2 in Gen.Frequency((5, Gen.Constant(false)), (1, Gen.Constant(true)))
                 select new Op(kind, who, what, n, flag, flag2);
        var ops = Arb.From(Gen.ListOf(op).Resize(60), Shrink);
        // FsCheck blocks while it runs, so do not use the context of the test runner.
        await Task.Run(() => Check.One(Config.QuickThrowOnFailure.WithMaxTest(Runs), Prop.ForAll(ops, RunAsync)));
    }

    [Fact]
    public Task Virtual_time_is_the_tag_of_the_last_ticket_granted_or_dropped() => RunAsync(
    [
        new("acquire", 0, 1, 1, Flag: true, Flag2: false),
        new("acquire", 0, 1, 1, Flag: true, Flag2: false),
        new("acquire", 0, 1, 1, Flag: false, Flag2: false),
        new("grant", 0, 0, 0, Flag: false, Flag2: false),
        new("acquire", 0, 2, 1, Flag: false, Flag2: false), new("acquire", 0, 2, 1, Flag: false, Flag2: false),
    ]);

    private static IEnumerable<List<Op>> Shrink(List<Op> list)
    {
        for (var chunk = Math.Max(1, list.Count / 2); list.Count > 0; chunk /= 2)
        {
            for (var at = 0; at < list.Count; at += chunk)
                yield return [.. list.Take(at), .. list.Skip(at + chunk)];
            if (chunk == 1) yield break;
        }
    }

    private async Task RunAsync(List<Op> ops)
    {
        var store = new JobStore(redis.Store, new PayloadStore(redis.Store, "/nowhere"));
        var run = new ModelRun(
            new DispatchScripts(redis.Store),
            store,
            $"model-{Interlocked.Increment(ref endpoints)}",
            redis);
        try
        {
            foreach (var op in ops) await run.StepAsync(op);
            await run.CheckBytesAsync();
        }
        catch (Exception e)
        {
            throw new InvalidOperationException($"after\n{string.Join('\n', ops)}\n{e.Message}", e);
        }
    }

    private sealed class ModelRun(DispatchScripts scripts, JobStore store, string endpoint, RedisFixture redis)
    {
        private static readonly TimeSpan Long = TimeSpan.FromHours(1);

        private const string Blocked = """{"reason":"no worker starts","retryAt":"2100-01-01T00:00:00+00:00"}""";

        private readonly JobKeys jobKeys = new(endpoint);
        private readonly DispatchKeys keys = new(endpoint);
        private readonly DispatchModel model = new();
        private readonly Dictionary<string, string> entries = [];
        private int tickets;

        public async Task StepAsync(Op op)
        {
            var holder = Holders[op.Who];
            switch (op.Kind)
            {
                case "acquire": await AcquireAsync(op, holder); break;
                case "release": await ReleaseAsync(op, holder); break;
                case "grant": await GrantAsync(); break;
                case "renew": await RenewAsync(op, holder); break;
                case "abandon": await AbandonAsync(op); break;
                case "submit": await SubmitAsync(op); break;
                case "claim": await ClaimAsync(op, holder); break;
                case "end": await EndAsync(op, holder); break;
                case "requeue": await RequeueAsync(op); break;
                case "cancel": await CancelAsync(op); break;
                case "expire": await ExpireAsync(holder); break;
                case "up":
                    var capacity = 1 + op.What % 3;
                    await scripts.WorkerUpAsync(keys, Pods[op.N % 3], "{}", capacity, Limits[op.N % 3]);
                    model.Up(Pods[op.N % 3], capacity, Limits[op.N % 3]);
                    break;
                case "drain":
                    await scripts.WorkerDrainAsync(keys, endpoint, Pods[op.N % 3]);
                    model.Drain(Pods[op.N % 3]);
                    break;
                case "down":
                    await scripts.WorkerDownAsync(keys, endpoint, Pods[op.N % 3]);
                    model.Down(Pods[op.N % 3]);
                    break;
                case "block":
                    await scripts.BlockAsync(keys, Blocked, Long, counts: true);
                    model.Block();
                    break;
                case "unblock":
                    await redis.Store.Database.KeyDeleteAsync(keys.Blocked);
                    model.Unblock();
                    break;
                case "reap":
                    await scripts.ReapAsync(keys, Long, TimeSpan.Zero);
                    model.Reap();
                    break;
            }

            await CompareAsync(op);
        }

        private async Task AcquireAsync(Op op, string holder)
        {
            var wanted = Enumerable.Range(0, op.N).Select(i =>
                (
                    Id: $"t{tickets++}",
                    Flow: $"f{(op.What + i) % 2}",
                    Late: op.Flag,
                    Front: op.Flag2 ? 1 + (op.What % 2) : 0,
                    Tokens: Tokens[(op.What + op.Who + i) % 4])).ToList();
            var (fresh, depth, spare) = (op.What % 4 != 0, 2 + op.What % 4, op.What % 3);
            // A pod that does not exist is one of them.
            var preferred = op.N % 2 == 0 ? null : new PreferredWorker($"p{op.What % 5}", op.What % 3);
            var expected = model.Acquire(holder, fresh, expired: false, depth, spare, wanted, preferred);
            var answer = await scripts.AcquireAsync(keys, endpoint, holder, fresh, Long, depth, spare,
                wanted.ConvertAll(t => new TicketRequest(
                    t.Id,
                    t.Flow,
                    t.Late ? TimeSpan.Zero : Long,
                    t.Front == 1,
                    Isolated: t.Front == 2,
                    Preferred: preferred,
                    Tokens: t.Tokens)));
            Assert.Equal(expected is null, answer.Lost);
            if (expected is null) return;
            foreach (var (id, entry) in answer.Queued) entries[id] = entry;
            var got = answer.Granted.Select(g => (g.Ticket, g.Pod))
                .Concat(answer.Queued.Select(q => (q.Id, "queued"))).Concat(answer.Refused)
                .ToDictionary(x => x.Item1, x => x.Item2);
            Assert.Equal(expected, wanted.Select(t => got[t.Id]));
        }

        private async Task ReleaseAsync(Op op, string holder)
        {
            var slots = new[] { Returned(holder, Pods[op.What % 3], op.N) };
            var expected = model.Release(holder, slots);
            var answer = await scripts.ReleaseAsync(jobKeys, endpoint, holder, slots, [], claims: false);
            Assert.Equal(expected, answer.Granted.Select(g => (Id(g.Ticket), g.Pod)));
        }

        /// <summary>
        /// Returns slots of a pod with their share of its tokens; the last slot has all that are left.
        /// </summary>
        private SlotCount Returned(string holder, string pod, int slots)
        {
            var (held, tokens) = (model.Held.GetValueOrDefault((holder, pod)),
                model.Tokens.GetValueOrDefault((holder, pod)));
            return new SlotCount(pod, slots, slots >= held ? tokens : tokens * slots / held);
        }

        private async Task GrantAsync()
        {
            model.Release("", []);
            Assert.Empty((await scripts.ReleaseAsync(jobKeys, endpoint, "", [], [], claims: false)).Granted);
        }

        private async Task RenewAsync(Op op, string holder)
        {
            var own = model.Held.Where(h => h.Key.Holder == holder)
                .ToDictionary(h => h.Key.Pod, h => new SlotCount(
                    h.Key.Pod,
                    Math.Max(0, h.Value - op.N),
                    model.Tokens.GetValueOrDefault(h.Key) / (1 + (op.What % 2))));
            var accepted = op.Flag ? model.Grants.Where(g => g.Ticket.Holder == holder)
                .Select(g => g.Ticket.Id).ToList() : [];
            var known = op.Flag2 ? [] : model.Orphans(holder, []).ConvertAll(o => $"{o.Id}|{o.Fence}");
            var token = $"r{tickets++}";
            var orphans = model.Orphans(holder, known).ConvertAll(
                o => (o.Id, $"{new Fence(o.Attempt, token)}", o.Pod, o.Isolated));
            var alive = model.Renew(holder, own, accepted, known, token);
            var answer = await scripts.RenewAsync(keys, new RenewReport(holder, Long, 0, 0, [.. own.Values],
                accepted.ConvertAll(id => entries[id]), known, []) { Token = token });
            Assert.Equal(!alive, answer.Lost);
            if (alive)
                Assert.Equal(
                    orphans.Order(),
                    answer.Orphans.Select(o => (o.Id, $"{o.Fence}", o.Pod, o.IsIsolated)).Order());
            if (alive)
                Assert.Equal(
                    model.Grants.Where(g => g.Ticket.Holder == holder).Select(g => (g.Ticket.Id, g.Pod)).Order(),
                    answer.Unaccepted.Select(g => (Id(g.Ticket), g.Pod)).Order());
        }

        private async Task AbandonAsync(Op op)
        {
            var all = model.Queue.Where(w => w.Holder != DispatchModel.Job).Select(w => w.Id).Concat(
                model.Grants.Select(g => g.Ticket.Id)).ToList();
            if (all.Count == 0) return;
            var id = all[op.What % all.Count];
            model.Abandon(id);
            await scripts.AbandonAsync(keys, [entries[id]]);
        }

        private async Task SubmitAsync(Op op)
        {
            var (id, flow) = ($"j{tickets++}", $"f{op.What % 2}");
            var tokens = Tokens[(op.What + op.Who) % 4];
            model.Submit(id, flow, op.Flag2, 1 + op.N, tokens);
            var result = await store.SubmitAsync(new JobSubmission
            {
                Id = id,
                EndpointId = endpoint,
                Flow = flow,
                Tokens = tokens,
                Input = Json(op.What % 3),
                Ttl = op.Flag2 ? TimeSpan.Zero : Long,
                Timeout = Long,
                Retention = Long, MaxRuns = 1 + op.N, MaxQueued = 1000,
            }, default);
            Assert.Equal(SubmitOutcome.Queued, result.Outcome);
        }

        private Task ClaimAsync(Op op, string holder) => TurnAsync(op, holder, []);

        /// <summary>
        /// Ends jobs and claims the next ones in the same call; sometimes with the fence of an earlier attempt or
        /// claim.
        /// </summary>
        private async Task EndAsync(Op op, string holder)
        {
            var ends = new List<(string Id, Fence Fence)>();
            for (var i = 0; i <= op.N && Pick(op with { What = op.What + i }) is { } job; i++)
                ends.Add((job.Id, EndFence(op, job)));
            await TurnAsync(op, holder, ends);
        }

        private static Fence EndFence(Op op, DispatchModel.ModelJob job) =>
            new(op.Flag ? job.Attempt - 1 : job.Attempt, op.Flag2 && job.Token.Length > 0 ? "another" : job.Token);

        private async Task TurnAsync(Op op, string holder, List<(string Id, Fence Fence)> ends)
        {
            var slots = new[] { Returned(holder, Pods[op.What % 3], op.N % 2) };
            var claimed = new List<(string, Fence, string, string)>();
            var ended = ends.ConvertAll(e => model.End(e.Id, e.Fence, "COMPLETED"));
            var token = $"c{tickets++}";
            var expected = model.Release(holder, slots, claimed, token);
            var answer = await scripts.ReleaseAsync(
                jobKeys,
                endpoint,
                holder,
                slots,
                ends.ConvertAll(e => JobEnd.Completed(e.Id, e.Fence, Json((op.What + op.N) % 3), default)),
                claims: true,
                token);
            Assert.Equal(expected, answer.Granted.Select(g => (Id(g.Ticket), g.Pod)));
            Assert.Equal(claimed, answer.Claimed.Select(c => (c.Id, c.Fence, c.Pod, c.Why)));
            Assert.Equal(ends.Zip(ended, (e, did) => (e.Id, did)), answer.Ended.Select(e => (e.Id, e.Ended)));
        }

        private async Task RequeueAsync(Op op)
        {
            if (Pick(op) is not { } job) return;
            var (fence, loss) = (EndFence(op, job), (AttemptLoss)op.N);
            var requeued = model.Requeue(job.Id, fence, loss);
            Assert.Equal(requeued, await store.RequeueAsync(endpoint, job.Id, fence, loss, "lost", default));
        }

        private async Task CancelAsync(Op op)
        {
            if (Pick(op) is not { } job) return;
            var cancelled = model.Cancel(job.Id);
            Assert.Equal(cancelled, (await store.CancelAsync(endpoint, job.Id, default)).Ended);
        }

        private DispatchModel.ModelJob? Pick(Op op) =>
            model.Jobs.Count == 0 ? null : model.Jobs.Values.ElementAt(op.What % model.Jobs.Count);

        private async Task ExpireAsync(string holder)
        {
            model.Acquire(holder, fresh: true, expired: true, 0, 0, []);
            await scripts.AcquireAsync(keys, endpoint, holder, true, TimeSpan.Zero, 0, 0, []);
        }

        private async Task CompareAsync(Op op)
        {
            var seen = await scripts.SnapshotAsync(keys);
            var db = redis.Store.Database;
            Assert.Equal(model.Queue.Select(w => w.Id),
                (await db.SortedSetRangeByRankAsync(keys.Queue)).Select(e => Id(e!)));
            Assert.Equal(model.Held.Select(h => (h.Key.Holder, h.Key.Pod, h.Value)).Order(),
                seen.Leases.Select(l => (l.Holder, l.PodId, l.Slots)).Order());
            Assert.Equal(
                model.Tokens.Select(t => ($"{t.Key.Holder}|{t.Key.Pod}", t.Value))
                    .Concat(model.Tokens.GroupBy(t => t.Key.Pod).Select(g => (g.Key, g.Sum(t => t.Value)))).Order(),
                (await db.HashGetAllAsync(keys.Tokens)).Select(t => ((string)t.Name!, (long)t.Value)).Order());
            Assert.Equal(model.LeaseExpired.Keys.Order(),
                (await db.SortedSetRangeByRankAsync(keys.Leases)).Select(l => (string)l!).Order());
            Assert.Equal(model.Pods.Keys.Order(), seen.Workers.Select(w => w.PodId).Order());
            Assert.Equal((model.Blocked, model.Refused), (seen.Blocked is not null, seen.Refused));
            Assert.Equal(model.Grants.Count, await db.HashLengthAsync(keys.Grants));
            foreach (var worker in seen.Workers)
            {
                Assert.Equal(model.Pods[worker.PodId].Ready, !worker.Draining);
                if (!worker.Draining) Assert.Equal(worker.Capacity, worker.Free + worker.Leased);
            }

            Assert.Equal(model.Running.Order(), (await db.HashKeysAsync(keys.Running)).Select(k => (string)k!).Order());
            foreach (var job in model.Jobs.Values)
            {
                var stored = (await store.LookAsync(endpoint, job.Id, null, default))!;
                Assert.Equal((job.Status, job.Attempt, job.Runs), (stored.Status, stored.Attempt, stored.Runs));
            }

            // After slots are returned, no ticket waits while a slot is free, except isolated tickets and tickets
            // without room for their tokens.
            if (model.Isolated == 0 && op.Kind is "release" or "grant" && seen.Queued > seen.JobsQueued
                && !model.Queue[0].Holder.Equals(DispatchModel.Job, StringComparison.Ordinal))
                Assert.DoesNotContain(seen.Workers, w => !w.Draining && w.Free > 0
                    && model.Fits(w.PodId, model.Queue[0].Tokens));
        }

        /// <summary>Checks that the counted bytes are the bytes that the jobs occupy.</summary>
        public async Task CheckBytesAsync()
        {
            var report = await new JobQueries(redis.Store, store).CheckAsync(endpoint, default);
            Assert.DoesNotContain(
                report.Violations,
                v => v.Contains(" bytes", StringComparison.Ordinal)
                    || v.Contains("tokens", StringComparison.Ordinal)
                    || v.Contains("without its input", StringComparison.Ordinal));
        }

        /// <summary>Returns a short, a longer or a large value.</summary>
        private static byte[] Json(int size) =>
            [.. Enumerable.Repeat((byte)'1', size switch { 0 => 1, 1 => 700, _ => 3000 })];

        /// <summary>The tokens follow the id of a ticket.</summary>
        private static string Id(string entry) => entry.Split('|')[2].Split('~')[0];
    }
}
