using Sluice.Testing;
using Sluice.Worker.Generation.Blocks;

namespace Sluice.Worker.Tests.Generation;

/// <summary>Tests which blocks sequences get, and that none sees the tokens of another one.</summary>
public sealed class BlockPoolTest
{
    private const int Size = 16;

    [Fact]
    public void A_sequence_shares_full_blocks_and_copies_the_last_part()
    {
        var pool = new BlockPool(10, Size);
        var prompt = Tokens(40);
        var first = Read(pool, "a", prompt, out var shared, out _);
        Assert.Equal(0, shared);
        var second = pool.Acquire("a", Tokens(50), out shared, out var copy);
        Assert.Equal(40, shared);
        Assert.Equal(first.Blocks.Take(2), second.Blocks.Take(2));
        Assert.Equal(new BlockCopy(first.Blocks[2], second.Blocks[2], 8), copy);
        Assert.Equal((6, 1, 1), (pool.Available, pool.OwnBlocks(first), pool.OwnBlocks(second)));
    }

    [Fact]
    public void Tokens_of_another_scope_are_not_found()
    {
        var pool = new BlockPool(10, Size);
        pool.Release(Read(pool, "a", Tokens(40), out _, out _), keep: true);
        Assert.Equal((0, 40), (pool.Find("b", Tokens(41)).Tokens, pool.Find("a", Tokens(41)).Tokens));
    }

    [Fact]
    public void The_last_token_is_never_shared()
    {
        var pool = new BlockPool(10, Size);
        pool.Release(Read(pool, "a", Tokens(32), out _, out _), keep: true);
        Assert.Equal(31, pool.Find("a", Tokens(32)).Tokens);
        var withoutCopies = new BlockPool(10, Size, canCopy: false);
        Read(withoutCopies, "a", Tokens(32), out _, out _);
        Assert.Equal(16, withoutCopies.Find("a", Tokens(32)).Tokens);
    }

    [Fact]
    public void A_sequence_takes_the_last_block_that_no_other_one_uses()
    {
        var pool = new BlockPool(10, Size);
        var first = Read(pool, "a", Tokens(40), out _, out _);
        var blocks = first.Blocks.ToList();
        pool.Release(first, keep: true);
        Assert.Equal((10, 40), (pool.Available, pool.TokensKept));
        var second = pool.Acquire("a", Tokens(45), out var shared, out var copy);
        Assert.Equal(40, shared);
        Assert.Null(copy);
        Assert.Equal(blocks, second.Blocks);
        Assert.Equal((7, 0L), (pool.Available, pool.TokensKept));
    }

    [Fact]
    public void The_least_recently_used_blocks_are_reused_first_and_the_last_of_a_sequence_before_its_first()
    {
        var pool = new BlockPool(6, Size);
        pool.Release(Read(pool, "a", Tokens(48), out _, out _), keep: true);
        pool.Release(Read(pool, "b", Tokens(48), out _, out _), keep: true);
        Assert.Equal(48, pool.Find("a", Tokens(49)).Tokens);
        pool.Release(pool.Acquire("a", Tokens(49), out _, out _), keep: true);
        Read(pool, "c", Tokens(32), out _, out _);
        Assert.Equal((48, 16), (pool.Find("a", Tokens(49)).Tokens, pool.Find("b", Tokens(49)).Tokens));
    }

    [Fact]
    public void Without_a_block_an_extension_fails()
    {
        var pool = new BlockPool(2, Size);
        var table = Read(pool, "a", Tokens(32), out _, out _);
        Assert.Throws<InvalidOperationException>(() => pool.Extend(table, 33));
    }

    /// <summary>
    /// Compares the pool with a memory that knows, for each place, which tokens precede it. Few different tokens make
    /// many equal prefixes.
    /// </summary>
    [Fact]
    public void No_sequence_sees_other_tokens_than_its_own()
    {
        for (var seed = 0; seed < RandomCases.Count(500); seed++) RunRandom(new Random(seed));
    }

    private static void RunRandom(Random random)
    {
        var (blocks, canCopy) = (random.Next(4, 24), random.Next(4) > 0);
        var pool = new BlockPool(blocks, Size, canCopy);
        var memory = new string[blocks, Size];
        var sequences = new List<(BlockTable Table, string Scope, List<int> Tokens, int Read)>();
        for (var step = 0; step < 60; step++)
        {
            switch (random.Next(4))
            {
                case 0 or 1:
                    Start(pool, memory, sequences, random);
                    break;
                case 2 when sequences.Count > 0:
                    var at = random.Next(sequences.Count);
                    sequences[at] = Extend(pool, memory, sequences[at], random);
                    break;
                case 3 when sequences.Count > 0:
                    at = random.Next(sequences.Count);
                    pool.Release(sequences[at].Table, random.Next(4) > 0);
                    sequences.RemoveAt(at);
                    break;
            }

            foreach (var s in sequences)
                for (var i = 0; i < s.Read; i++)
                    Assert.Equal(Content(s.Scope, s.Tokens, i), memory[s.Table.Blocks[i / Size], i % Size]);
            Assert.Equal(blocks - sequences.SelectMany(s => s.Table.Blocks).Distinct().Count(), pool.Available);
            foreach (var s in sequences)
                Assert.Equal(pool.OwnBlocks(s.Table), s.Table.Blocks.Count(b =>
                    sequences.Count(o => o.Table.Blocks.Contains(b)) == 1));
        }

        foreach (var s in sequences) pool.Release(s.Table, keep: true);
        Assert.Equal(blocks, pool.Available);
    }

    private static void Start(
        BlockPool pool,
        string[,] memory,
        List<(BlockTable Table, string Scope, List<int> Tokens, int Read)> sequences,
        Random random)
    {
        var scope = random.Next(5) == 0 ? "b" : "a";
        // A prefix of one of two texts, and then few different tokens.
        var tokens = Tokens(random.Next(1, 3 * Size), random.Next(2)).ToList();
        for (var more = random.Next(1, Size); more > 0; more--) tokens.Add(random.Next(2));
        var found = pool.Find(scope, tokens.ToArray());
        if (pool.BlocksFor(tokens.Count) - found.InUse > pool.Available) return;
        var table = pool.Acquire(scope, tokens.ToArray(), out var shared, out var copy);
        Assert.True(shared <= found.Tokens && shared < tokens.Count);
        for (var i = 0; copy is { } c && i < c.Tokens; i++) memory[c.To, i] = memory[c.From, i];
        sequences.Add((table, scope, tokens, shared));
    }

    private static (BlockTable Table, string Scope, List<int> Tokens, int Read) Extend(
        BlockPool pool,
        string[,] memory,
        (BlockTable Table, string Scope, List<int> Tokens, int Read) sequence,
        Random random)
    {
        var (table, scope, tokens, read) = sequence;
        while (tokens.Count <= read) tokens.Add(random.Next(2));
        var end = random.Next(read + 1, tokens.Count + 1);
        if (pool.BlocksFor(end) - table.Blocks.Count > pool.Available) return sequence;
        pool.Extend(table, end);
        for (var i = read; i < end; i++) memory[table.Blocks[i / Size], i % Size] = Content(scope, tokens, i);
        pool.Fill(table, tokens.ToArray().AsSpan(..end));
        return (table, scope, tokens, end);
    }

    private static string Content(string scope, List<int> tokens, int index) =>
        scope + string.Join(',', tokens.Take(index + 1));

    private static int[] Tokens(int count, int kind = 0) =>
        [.. Enumerable.Range(0, count).Select(i => i * (kind + 1))];

    private static BlockTable Read(BlockPool pool, string scope, int[] tokens, out int shared, out BlockCopy? copy)
    {
        var table = pool.Acquire(scope, [.. tokens, 0], out shared, out copy);
        pool.Extend(table, tokens.Length);
        pool.Fill(table, tokens);
        return table;
    }
}
