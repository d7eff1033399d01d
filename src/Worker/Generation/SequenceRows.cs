using Sluice.Worker.Generation.Decoding;
using Sluice.Worker.Generation.Scheduling;

namespace Sluice.Worker.Generation;

/// <summary>
/// Knows what each row of the key/value cache contains. The first rows belong to the sequences that run: those that
/// decode, then at most one whose prompt is being read. Other rows keep the tokens of sequences that have left, and a
/// new sequence that begins with the same tokens takes them from there, or from a running sequence. Tokens are shared
/// only within one scope. Not thread-safe.
/// </summary>
/// <param name="rows">The cache.</param>
/// <param name="keeps">Whether rows of sequences that have left are kept.</param>
internal sealed class SequenceRows(IKvRows rows, bool keeps) : ISequenceCache
{
    /// <summary>Fewer equal tokens are not worth a copy.</summary>
    private const int LeastShared = 16;

    private readonly List<Sequence> running = [];

    /// <summary>Kept tokens by row. All rows are above those of the running sequences.</summary>
    private readonly Dictionary<int, KeptTokens> kept = [];
    private long clock;

    public IReadOnlyList<Sequence> Running => running;

    public long TokensHeld => running.Sum(s => (long)s.Read);

    public long TokensKept => kept.Values.Sum(k => (long)k.Tokens.Length);

    /// <summary>The size of the cache.</summary>
    private CacheSize Size => new(rows.Rows, rows.Length);

    /// <summary>
    /// Number of rows that are useful besides those of the running sequences: those in use, and one for the next
    /// sequence that leaves.
    /// </summary>
    private int Spare => keeps ? kept.Count + 1 : 0;

    public int FindShared(Sequence sequence) => FindSource(sequence).Tokens;

    public StepPlan Plan(
        IReadOnlyList<SequenceFacts> running,
        IReadOnlyList<SequenceFacts> waiting,
        SchedulerLimits limits,
        ReadTokens readTokens) => StepPlan.Make(running, waiting, Size, limits, readTokens, Spare);

    public void Resize(CacheSize size)
    {
        if (size == Size) return;
        if (!rows.IsShared && size.Length != rows.Length) kept.Clear();
        var free = new Queue<int>(Enumerable.Range(0, Math.Min(size.Rows, rows.Rows))
            .Where(r => r >= running.Count && !kept.ContainsKey(r)));
        foreach (var (row, tokens) in kept.Where(k => k.Key >= size.Rows).OrderByDescending(k => k.Value.Used).ToList())
        {
            kept.Remove(row);
            if (free.TryDequeue(out var to)) MoveKept(row, to, tokens);
        }

        foreach (var (row, tokens) in kept.Where(k => k.Value.Tokens.Length > size.Length).ToList())
            kept[row] = tokens with { Tokens = tokens.Tokens[..size.Length] };
        var used = new int[kept.Keys.Append(running.Count - 1).Max() + 1];
        for (var row = 0; row < running.Count; row++) used[row] = running[row].Read;
        foreach (var (row, tokens) in kept) used[row] = tokens.Tokens.Length;
        rows.Resize(size.Rows, size.Length, used);
    }

    public int Add(Sequence sequence)
    {
        var row = running.Count;
        var (source, shared) = FindSource(sequence);
        if (TakesOver(source, shared, row))
        {
            kept.Remove(source);
            Vacate(row, source);
            if (source != row) rows.Move(source, row, shared);
        }
        else
        {
            if (source == row && FreeRow(row + 1) is var to && kept.Remove(row, out var tokens))
            {
                kept.Remove(to);
                MoveKept(row, to, tokens);
                source = to;
            }

            Vacate(row, source);
            if (shared > 0) rows.Copy(source, row, shared);
            if (kept.TryGetValue(source, out var used)) kept[source] = used with { Used = ++clock };
        }

        running.Add(sequence);
        sequence.OnShared(shared);
        return row;
    }

    /// <summary>Rows have room already.</summary>
    public void Reserve(int position, int tokens)
    {
    }

    /// <summary>The tokens of running sequences are found without a record.</summary>
    public void OnRead()
    {
    }

    /// <summary>
    /// Takes the row of a sequence away. The rows of the sequences that decode stay the first ones, without a gap, and
    /// a sequence whose prompt is being read follows them.
    /// </summary>
    public void Remove(int position, bool keep)
    {
        var row = position;
        var (sequence, last) = (running[row], running.Count - 1);
        var tokens = new KeptTokens(sequence.Scope, keep && keeps ? sequence.TokensRead.ToArray() : [], ++clock);
        // After the others have moved up, the last row is free. Until then, the content needs another one.
        var to = tokens.Tokens.Length < LeastShared ? -1 : row == last ? last : FreeRow(last + 1);
        if (to > last)
        {
            kept.Remove(to);
            rows.Move(row, to, tokens.Tokens.Length);
        }

        var decoding = running.Count(s => s.Decodes);
        if (row < decoding - 1) Fill(decoding - 1, row);
        if (row < decoding) row = decoding - 1;
        for (; row < last; row++) Fill(row + 1, row);
        running.RemoveAt(last);
        if (to >= 0) kept.Add(to, tokens);
    }

    public void Clear()
    {
        running.Clear();
        kept.Clear();
        rows.Dispose();
    }

    private void Fill(int from, int to)
    {
        rows.Move(from, to, running[from].Read);
        running[to] = running[from];
    }

    private void MoveKept(int from, int to, KeptTokens tokens)
    {
        rows.Move(from, to, tokens.Tokens.Length);
        kept.Add(to, tokens);
    }

    /// <summary>Returns the row that begins with most of a sequence's tokens, and their number.</summary>
    private (int Row, int Tokens) FindSource(Sequence sequence)
    {
        var (best, most) = (-1, 0);
        // The last token is read in any case, because its logits are needed.
        var wanted = sequence.Tokens[..^1];
        if (!keeps || wanted.Length < LeastShared) return (best, most);
        foreach (var (row, tokens) in kept)
            if (tokens.Scope == sequence.Scope) Consider(row, tokens.Tokens, wanted);
        for (var row = 0; rows.IsShared && row < running.Count; row++)
            if (running[row].Scope == sequence.Scope) Consider(row, running[row].TokensRead, wanted);
        return (best, most);

        void Consider(int row, ReadOnlySpan<int> tokens, ReadOnlySpan<int> of)
        {
            var shared = tokens.CommonPrefixLength(of);
            if (shared > most && shared >= LeastShared) (best, most) = (row, shared);
        }
    }

    /// <summary>
    /// Whether a new sequence gets the row that it continues, or that cannot be copied. Otherwise the row is kept, and
    /// can serve others later.
    /// </summary>
    private bool TakesOver(int source, int shared, int row) => kept.TryGetValue(source, out var tokens)
        && (!rows.IsShared || 2 * shared >= tokens.Tokens.Length || (source == row && FreeRow(row + 1) < 0));

    /// <summary>
    /// Empties a row. What it keeps moves to a free row, or to that of tokens that were used less recently.
    /// </summary>
    /// <param name="row">The row.</param>
    /// <param name="except">A row that is not used.</param>
    private void Vacate(int row, int except)
    {
        if (!kept.Remove(row, out var tokens)) return;
        var to = FreeRow(row + 1, except);
        if (to < 0 || (kept.TryGetValue(to, out var other) && other.Used > tokens.Used)) return;
        kept.Remove(to);
        MoveKept(row, to, tokens);
    }

    /// <summary>
    /// Returns the first free row from a row on, or the one whose tokens were used least recently; -1 if there is none.
    /// </summary>
    private int FreeRow(int from, int except = -1)
    {
        var oldest = -1;
        for (var row = from; row < rows.Rows; row++)
        {
            if (row == except) continue;
            if (!kept.TryGetValue(row, out var tokens)) return row;
            if (oldest < 0 || tokens.Used < kept[oldest].Used) oldest = row;
        }

        return oldest;
    }

    /// <summary>Tokens whose keys and values are in a row.</summary>
    /// <param name="Scope">Only sequences of the same scope can use them.</param>
    /// <param name="Tokens">The tokens.</param>
    /// <param name="Used">Larger for rows that were used later.</param>
    private readonly record struct KeptTokens(string Scope, int[] Tokens, long Used);
}
