using Sluice.Worker.Generation.Scheduling;

namespace Sluice.Worker.Tests.Generation;

/// <summary>Tests the plans of steps on a paged cache.</summary>
public sealed class BlockPlanTest
{
    [Fact]
    public void Prompts_share_the_tokens_of_a_step_and_only_the_last_is_read_in_part()
    {
        var plan = BlockPlan.Make([Need(1, 10)], [Need(2, 30, 2), Need(3, 30, 2), Need(4, 30, 2)], 20, 8, new(50, 50));
        Assert.Equal([(1L, 10), (2L, 30), (3L, 10)], plan.Chunks);
        Assert.Empty(plan.Preempted);
    }

    [Fact]
    public void A_sequence_joins_if_its_blocks_are_available_and_each_other_one_has_a_spare_block()
    {
        Assert.Equal([(2L, 30)], BlockPlan.Make([Decoding(1)], [Need(2, 30, 2)], 3, 8, new(50, 50)).Chunks);
        Assert.Empty(BlockPlan.Make([Decoding(1)], [Need(2, 30, 2)], 2, 8, new(50, 50)).Chunks);
        Assert.Equal([(2L, 30)], BlockPlan.Make([], [Need(2, 30, 2)], 2, 8, new(50, 50)).Chunks);
        Assert.Empty(BlockPlan.Make([Decoding(1)], [Need(2, 30, 2)], 20, 1, new(50, 50)).Chunks);
    }

    [Fact]
    public void A_sequence_that_fits_does_not_overtake_one_that_does_not() =>
        Assert.Empty(BlockPlan.Make([Decoding(1)], [Need(2, 900, 60), Need(3, 5, 1)], 20, 8, new(50, 50)).Chunks);

    [Fact]
    public void Without_blocks_the_latest_sequence_is_preempted_and_its_blocks_serve_the_others()
    {
        var plan = BlockPlan.Make([Decoding(1, 1, 3), Decoding(2, 1, 3), Decoding(3, 1, 3)], [], 1, 8, new(50, 50));
        Assert.Equal([3L], plan.Preempted);
        plan = BlockPlan.Make([Decoding(1, 1, 3), Decoding(2, 1, 0), Decoding(3, 1, 0)], [], 0, 8, new(50, 50));
        Assert.Equal([3L, 2L], plan.Preempted);
        Assert.Empty(BlockPlan.Make([Decoding(1, 1, 3)], [], 1, 8, new(50, 50)).Preempted);
    }

    [Fact]
    public void A_more_important_sequence_replaces_one_that_decodes()
    {
        var plan = BlockPlan.Make(
            [Decoding(1, 0, 4, priority: 2), Decoding(2, 0, 4, priority: 5)], [Need(3, 30, 2)], 0, 8, new(50, 50));
        Assert.Equal([2L], plan.Preempted);
        Assert.Equal([(3L, 30)], plan.Chunks);
        plan = BlockPlan.Make([Decoding(1, 0, 4)], [Need(3, 30, 2)], 0, 8, new(50, 50));
        Assert.Empty(plan.Preempted);
        // The blocks that it would free are not enough.
        plan = BlockPlan.Make([Decoding(1, 0, 1, priority: 5)], [Need(3, 30, 2)], 0, 8, new(50, 50));
        Assert.Empty(plan.Preempted);
    }

    private static BlockNeed Need(long id, int known, int missing = 0) =>
        new(new SequenceFacts(id, known, 0, 0, Decodes: false), missing);

    private static BlockNeed Decoding(long id, int missing = 0, int own = 0, int priority = 0) =>
        new(new SequenceFacts(id, 40, 39, priority, Decodes: true), missing, own);
}
