namespace Sluice.Worker.Generation.Blocks;

/// <summary>
/// Assigns the blocks of a paged key/value cache to sequences. A full block can belong to several sequences that begin
/// with the same tokens; blocks are counted by reference. Blocks of sequences that have left keep their tokens, and are
/// reused when no block is empty, those that were used least recently first. Pure: it holds numbers, not memory. Not
/// thread-safe.
/// </summary>
public sealed class BlockPool
{
    /// <summary>Fewer equal tokens are not shared.</summary>
    public const int LeastShared = 16;

    private readonly bool canCopy;
    private readonly Stack<int> empty;
    private readonly Block[] blocks;

    /// <summary>Blocks that no sequence uses, but whose tokens are kept; the least recently used one first.</summary>
    private readonly LinkedList<int> kept = [];

    /// <summary>Blocks with tokens, by the tokens that precede them.</summary>
    private readonly Dictionary<(string Scope, long Prefix), List<int>> children = [];
    private long lastPrefix;

    /// <param name="count">Number of blocks.</param>
    /// <param name="size">Tokens of a block.</param>
    /// <param name="canCopy">Whether the tokens of a block can be copied to another one.</param>
    public BlockPool(int count, int size, bool canCopy = true)
    {
        Count = count;
        Size = size;
        this.canCopy = canCopy;
        empty = new Stack<int>(Enumerable.Range(0, count).Reverse());
        blocks = [.. Enumerable.Range(0, count).Select(_ => new Block(size))];
    }

    /// <summary>Number of blocks.</summary>
    public int Count { get; }

    /// <summary>Tokens of a block.</summary>
    public int Size { get; }

    /// <summary>Number of blocks that no sequence uses.</summary>
    public int Available => empty.Count + kept.Count;

    /// <summary>Number of tokens in blocks that no sequence uses.</summary>
    public long TokensKept { get; private set; }

    /// <summary>Returns the number of blocks that have room for a number of tokens.</summary>
    public int BlocksFor(int tokens) => (tokens + Size - 1) / Size;

    /// <summary>Returns the number of blocks that only this sequence uses.</summary>
    public int OwnBlocks(BlockTable table) => table.Numbers.Count(b => blocks[b].Users == 1);

    /// <summary>Finds the longest sequence of equal tokens at the beginning. Changes nothing.</summary>
    /// <param name="scope">Only tokens of this scope are found.</param>
    /// <param name="tokens">
    /// The tokens of the sequence. The last one is not shared, because its logits are needed.
    /// </param>
    public SharedPrefix Find(string scope, ReadOnlySpan<int> tokens)
    {
        var wanted = tokens[..^1];
        var (full, prefix, inUse) = (new List<int>(), 0L, 0);
        while (true)
        {
            var (child, equal) = BestChild((scope, prefix), wanted[(full.Count * Size)..]);
            if (equal == Size)
            {
                full.Add(child);
                prefix = blocks[child].Prefix;
                if (blocks[child].Users > 0) inUse++;
                continue;
            }

            var takes = equal > 0 && Takes(child, equal);
            if (!takes && !canCopy) equal = 0;
            var shared = (full.Count * Size) + equal;
            return shared < LeastShared
                ? SharedPrefix.None
                : new SharedPrefix(full, equal > 0 ? child : -1, equal, takes, shared, inUse);
        }
    }

    /// <summary>Gives a new sequence the blocks that begin with its tokens.</summary>
    /// <param name="scope">Only blocks of this scope are shared.</param>
    /// <param name="tokens">The tokens of the sequence.</param>
    /// <param name="shared">Number of tokens that the blocks contain.</param>
    /// <param name="copy">A copy that the caller makes before it calls another method, or null.</param>
    public BlockTable Acquire(string scope, ReadOnlySpan<int> tokens, out int shared, out BlockCopy? copy)
    {
        var table = new BlockTable(scope);
        var found = Find(scope, tokens);
        copy = null;
        foreach (var block in found.Full) Use(table, block);
        table.Full = found.Full.Count;
        table.Prefix = found.Full.Count > 0 ? blocks[found.Full[^1]].Prefix : 0;
        shared = found.Full.Count * Size;
        if (found.Tail < 0) return table;
        if (found.TakesTail)
        {
            Use(table, found.Tail);
            Forget(found.Tail);
        }
        else if (TryTake(found.Tail) is var to and >= 0)
        {
            blocks[to].Users = 1;
            table.Numbers.Add(to);
            copy = new BlockCopy(found.Tail, to, found.TailTokens);
        }
        else return table;

        shared = found.Tokens;
        return table;
    }

    /// <summary>Gives a sequence blocks for its next tokens.</summary>
    /// <param name="table">The blocks of the sequence.</param>
    /// <param name="tokens">Number of tokens for which there must be room in all blocks.</param>
    /// <exception cref="InvalidOperationException">No block is available.</exception>
    public void Extend(BlockTable table, int tokens)
    {
        while (table.Numbers.Count * Size < tokens)
        {
            var block = TryTake(except: -1);
            if (block < 0) throw new InvalidOperationException("No block of the key/value cache is available.");
            blocks[block].Users = 1;
            table.Numbers.Add(block);
        }
    }

    /// <summary>Records which tokens the blocks of a sequence contain, so that others can find them.</summary>
    /// <param name="table">The blocks of the sequence.</param>
    /// <param name="tokens">All tokens whose keys and values are in the blocks.</param>
    public void Fill(BlockTable table, ReadOnlySpan<int> tokens)
    {
        for (var i = table.Full; i * Size < tokens.Length; i++)
        {
            var number = table.Numbers[i];
            var block = blocks[number];
            var content = tokens[(i * Size)..Math.Min(tokens.Length, (i + 1) * Size)];
            content.CopyTo(block.Tokens);
            block.Length = content.Length;
            if (!block.IsKnown) Remember(number, (table.Scope, table.Prefix));
            if (content.Length < Size) return;
            table.Full = i + 1;
            table.Prefix = PrefixOf(number);
        }
    }

    /// <summary>Takes the blocks of a sequence away.</summary>
    /// <param name="table">The blocks of the sequence. It must not be used afterwards.</param>
    /// <param name="keep">Whether the tokens are kept for others.</param>
    public void Release(BlockTable table, bool keep)
    {
        // The last block is reused first, because the earlier ones are useful without it.
        for (var i = table.Numbers.Count - 1; i >= 0; i--)
        {
            var number = table.Numbers[i];
            var block = blocks[number];
            if (--block.Users > 0) continue;
            if (!keep && i >= table.Full) Forget(number);
            if (block.IsKnown)
            {
                block.Kept = kept.AddLast(number);
                TokensKept += block.Length;
            }
            else empty.Push(number);
        }

        table.Numbers.Clear();
    }

    /// <summary>Returns the block that begins with most of the tokens, and their number.</summary>
    private (int Block, int Equal) BestChild((string Scope, long Prefix) parent, ReadOnlySpan<int> wanted)
    {
        var (best, most) = (-1, 0);
        if (wanted.IsEmpty || !children.TryGetValue(parent, out var list)) return (best, most);
        foreach (var child in list)
        {
            var equal = blocks[child].Content.CommonPrefixLength(wanted);
            if (equal > most) (best, most) = (child, equal);
        }

        return (best, most);
    }

    /// <summary>
    /// Whether a new sequence gets a block that it continues. No other sequence uses it, and no block follows it.
    /// </summary>
    private bool Takes(int number, int equal)
    {
        var block = blocks[number];
        return block.Users == 0 && !children.ContainsKey((block.Parent.Scope, block.Prefix))
            && (!canCopy || 2 * equal >= block.Length);
    }

    private void Use(BlockTable table, int number)
    {
        var block = blocks[number];
        if (block.Users++ == 0) Unkeep(block);
        table.Numbers.Add(number);
    }

    /// <summary>Returns an empty block, or the kept one that was used least recently; -1 if there is none.</summary>
    private int TryTake(int except)
    {
        if (empty.TryPop(out var number)) return number;
        var oldest = kept.First;
        if (oldest?.Value == except) oldest = oldest.Next;
        if (oldest is null) return -1;
        number = oldest.Value;
        Unkeep(blocks[number]);
        Forget(number);
        return number;
    }

    private void Unkeep(Block block)
    {
        kept.Remove(block.Kept!);
        block.Kept = null;
        TokensKept -= block.Length;
    }

    private void Remember(int number, (string Scope, long Prefix) parent)
    {
        var block = blocks[number];
        block.Parent = parent;
        block.Prefix = ++lastPrefix;
        block.IsKnown = true;
        if (!children.TryGetValue(parent, out var list)) children.Add(parent, list = []);
        list.Add(number);
    }

    private void Forget(int number)
    {
        var block = blocks[number];
        if (!block.IsKnown) return;
        block.IsKnown = false;
        var list = children[block.Parent];
        list.Remove(number);
        if (list.Count == 0) children.Remove(block.Parent);
    }

    /// <summary>
    /// Returns what identifies the tokens up to the end of a full block. If another block has the same tokens, only
    /// that one can be found from now on.
    /// </summary>
    private long PrefixOf(int number)
    {
        var block = blocks[number];
        foreach (var other in children[block.Parent])
        {
            if (other == number || !blocks[other].Content.SequenceEqual(block.Content)) continue;
            Forget(number);
            return blocks[other].Prefix;
        }

        return block.Prefix;
    }

    private sealed class Block(int size)
    {
        public int[] Tokens { get; } = new int[size];

        public ReadOnlySpan<int> Content => Tokens.AsSpan(0, Length);

        public int Length { get; set; }

        /// <summary>Number of sequences that use the block.</summary>
        public int Users { get; set; }

        /// <summary>Whether other sequences can find the tokens.</summary>
        public bool IsKnown { get; set; }

        /// <summary>The tokens that precede the block.</summary>
        public (string Scope, long Prefix) Parent { get; set; }

        /// <summary>Identifies the tokens up to the end of the block.</summary>
        public long Prefix { get; set; }

        public LinkedListNode<int>? Kept { get; set; }
    }
}
