using Sluice.Testing;
using Sluice.Worker.Generation.Scheduling;

namespace Sluice.Worker.Tests.Generation;

/// <summary>Tests the plan of one step of text generation.</summary>
public sealed class StepPlanTest
{
    private static readonly SchedulerLimits Limits = new(Context: 1024, CacheTokens: 4096, MaxSequences: 8);

    [Fact]
    public void A_waiting_prompt_is_read_in_chunks_beside_the_sequences_that_decode()
    {
        var plan = Make([Decoding(1, 40)], [Waiting(2, 100)], new CacheSize(2, 256), readTokens: 32);
        Assert.Equal([(2L, 32)], plan.Chunks);
        plan = Make([Decoding(1, 40)], [Waiting(2, 47)], new CacheSize(2, 256), readTokens: 32);
        Assert.Equal([(2L, 47)], plan.Chunks);
        plan = Make([Decoding(1, 41), Reading(2, 100, read: 32)], [Waiting(3, 8)], new CacheSize(2, 256), 80);
        Assert.Equal([(2L, 68), (3L, 8)], plan.Chunks);
        Assert.Equal(new CacheSize(4, 256), plan.Size);
    }

    [Fact]
    public void Short_prompts_share_a_step_until_its_tokens_are_used()
    {
        var plan = Make([], [Waiting(1, 10), Waiting(2, 10), Waiting(3, 10), Waiting(4, 10)], default, readTokens: 25);
        // A run for the last 5 tokens would take almost as long as one for 16.
        Assert.Equal([(1L, 10), (2L, 10)], plan.Chunks);
        Assert.Equal(new CacheSize(2, 256), plan.Size);
    }

    [Fact]
    public void Urgent_prompts_are_read_to_their_ends_and_a_long_one_in_smaller_parts()
    {
        var plan = StepPlan.Make([Decoding(1, 40)], [Waiting(2, 60), Waiting(3, 700), Waiting(4, 60)],
            new CacheSize(4, 256), Limits, new ReadTokens(512, 32));
        Assert.Equal([(2L, 60), (3L, 32)], plan.Chunks);
    }

    [Fact]
    public void Tokens_that_can_be_copied_are_not_read()
    {
        var plan = Make([], [Waiting(1, 100) with { Read = 90 }], default, readTokens: 512);
        Assert.Equal([(1L, 10)], plan.Chunks);
    }

    [Fact]
    public void Rows_become_longer_when_a_sequence_needs_it_and_the_latest_sequences_make_room()
    {
        // 4096 tokens are 16 rows of 256 (at most 8 sequences), 8 of 512 and 4 of 1024.
        var running = Enumerable.Range(1, 6).Select(i => Decoding(i, i == 2 ? 513 : 100)).ToList();
        var plan = Make(running, [], new CacheSize(8, 512), readTokens: 16);
        Assert.Equal([6L, 5L], plan.Preempted);
        Assert.Equal(new CacheSize(4, 1024), plan.Size);
    }

    [Fact]
    public void Rows_become_shorter_again_when_more_sequences_need_one()
    {
        var running = Enumerable.Range(1, 4).Select(i => Decoding(i, 100)).ToList();
        var unchanged = Make(running, [], new CacheSize(4, 1024), readTokens: 16);
        Assert.Equal(new CacheSize(4, 1024), unchanged.Size);
        var plan = Make(running, [Waiting(5, 10)], new CacheSize(4, 1024), readTokens: 16);
        Assert.Equal([(5L, 10)], plan.Chunks);
        Assert.Equal(new CacheSize(8, 256), plan.Size);
    }

    [Fact]
    public void A_long_prompt_waits_until_its_row_fits_and_no_later_one_overtakes_it()
    {
        var running = Enumerable.Range(1, 6).Select(i => Decoding(i, 100)).ToList();
        var plan = Make(running, [Waiting(7, 900), Waiting(8, 5)], new CacheSize(8, 256), readTokens: 64);
        Assert.Empty(plan.Chunks);
        Assert.Empty(plan.Preempted);
    }

    [Fact]
    public void A_sequence_of_higher_priority_takes_the_row_of_the_least_important_one()
    {
        var running = Enumerable.Range(1, 8).Select(i => Decoding(i, 100)).ToList();
        var plan = Make(running, [Waiting(9, 20)], new CacheSize(8, 256), readTokens: 64);
        Assert.Empty(plan.Chunks);
        plan = Make(running, [Waiting(9, 20) with { Priority = -1 }], new CacheSize(8, 256), readTokens: 64);
        Assert.Equal([8L], plan.Preempted);
        Assert.Equal([(9L, 20)], plan.Chunks);
    }

    [Fact]
    public void Every_plan_respects_the_limits_and_at_least_one_sequence_continues()
    {
        var random = new Random(5);
        for (var round = 0; round < RandomCases.Count(5000); round++)
        {
            var id = 0L;
            var limits = new SchedulerLimits(random.Next(1, 3000), 0, random.Next(1, 20));
            limits = limits with { CacheTokens = limits.Context + random.Next(0, 9000) };
            var length = limits.LengthFor(random.Next(1, limits.Context + 1));
            var size = new CacheSize(random.Next(1, limits.RowsFor(length) + 1), length);
            List<SequenceFacts> running = [.. Some(size.Rows).Select(_ => Decoding(++id, KnownIn(length)))];
            if (running.Count < size.Rows && length > 2 && random.Next(2) == 0)
                running.Add(Reading(++id, length, random.Next(1, length - 1)));
            List<SequenceFacts> waiting =
            [
                .. Some(30).Select(_ =>
                    Waiting(++id, random.Next(1, limits.Context + 1)) with { Priority = random.Next(3) }),
            ];
            waiting = [.. waiting.OrderBy(s => (s.Priority, s.Id))];
            var readTokens = random.Next(1, 600);
            var plan = StepPlan.Make(
                running, waiting, size, limits, new ReadTokens(readTokens, random.Next(1, readTokens + 1)));

            var rows = running.Select(s => s.Id).Except(plan.Preempted).Union(plan.Chunks.Select(c => c.Id)).ToList();
            Assert.InRange(plan.Size.Rows, rows.Count, limits.RowsFor(plan.Size.Length));
            var all = running.Concat(waiting).ToDictionary(s => s.Id);
            Assert.All(rows, r => Assert.InRange(all[r].Known, 1, plan.Size.Length));
            Assert.InRange(plan.Chunks.Sum(c => c.Tokens), 0, readTokens + ReadSize.Least - 1);
            Assert.All(plan.Chunks, c => Assert.InRange(c.Tokens, 1, all[c.Id].Unread));
            Assert.All(plan.Chunks.SkipLast(1), c => Assert.Equal(all[c.Id].Unread, c.Tokens));
            Assert.All(plan.Chunks, c => Assert.False(all[c.Id].Unread - c.Tokens is > 0 and < ReadSize.Least));
            Assert.Equal(running.Count + waiting.Count > 0, rows.Count > 0);
            Assert.All(plan.Preempted, p => Assert.Contains(running, s => s.Id == p));

            int KnownIn(int most) =>
                random.Next(10) == 0 ? Math.Min(limits.Context, most + 1) : random.Next(1, most + 1);
        }

        IEnumerable<int> Some(int most) => Enumerable.Range(0, random.Next(0, most + 1));
    }

    [Theory]
    [InlineData(64, 10, 10, 51)]
    [InlineData(64, 40, 10, 16)]
    [InlineData(512, 1000, 10, 64)]
    [InlineData(64, 1, 10, 128)]
    [InlineData(400, 1, 10, 512)]
    [InlineData(17, 100, 10, 16)]
    public void The_time_for_reading_is_adjusted_to_the_time_for_decoding(
        int tokens,
        int reading,
        int decoding,
        int next) =>
        Assert.Equal(
            next,
            ReadSize.Next(tokens, TimeSpan.FromMilliseconds(reading), TimeSpan.FromMilliseconds(decoding)));

    [Theory]
    [InlineData(1, 8, 1)]
    [InlineData(2, 8, 1)]
    [InlineData(8, 8, 4)]
    [InlineData(15, 1, 60)]
    public void Reading_takes_longer_if_many_sequences_wait(int waiting, int decoding, double factor) =>
        Assert.Equal(factor, ReadSize.Urgency(waiting, decoding));

    [Fact]
    public void The_budget_follows_the_sequences_that_wait_and_decode()
    {
        var budget = new ReadBudget();
        Assert.Equal(new ReadTokens(ReadSize.Most, ReadSize.Most), budget.Next(waiting: 16, decoding: 0));
        Assert.Equal(ReadSize.First, budget.Next(waiting: 1, decoding: 8).All);
        Assert.Equal(new ReadTokens(4 * ReadSize.First, ReadSize.First), budget.Next(waiting: 8, decoding: 8));

        // A step with 256 tokens took 40 ms, while decoding took 10 ms: 64 tokens take 10 ms, and may take 8 ms.
        budget.Record(4 * ReadSize.First, TimeSpan.FromMilliseconds(40), TimeSpan.FromMilliseconds(10));

        Assert.Equal(51, budget.Next(waiting: 1, decoding: 8).All);
        Assert.Equal(new ReadTokens(ReadSize.Most, 51), budget.Next(waiting: 63, decoding: 1));
    }

    private static StepPlan Make(
        List<SequenceFacts> running,
        List<SequenceFacts> waiting,
        CacheSize size,
        int readTokens) =>
        StepPlan.Make(running, waiting, size, Limits, new ReadTokens(readTokens, readTokens));

    private static SequenceFacts Decoding(long id, int known) => new(id, known, known - 1, 0, Decodes: true);

    private static SequenceFacts Reading(long id, int known, int read) => new(id, known, read, 0, Decodes: false);

    private static SequenceFacts Waiting(long id, int known) => new(id, known, 0, 0, Decodes: false);
}
