namespace Sluice.Worker.Generation.Constraints.Grammars;

/// <summary>
/// The least cost from each state to the end of its rule, with Knuth's generalisation of Dijkstra's algorithm
/// (Information Processing Letters 6, 1977): each state gets its final cost once, the least ones first.
/// </summary>
internal sealed class GrammarCosts
{
    // Larger texts are taken as impossible: with '$ref', the least text can grow exponentially.
    private const long MaxCost = 10_000_000;

    private readonly Edges[] states;
    private readonly bool[] accepts;
    private readonly Rule[] rules;
    private readonly IReadOnlyList<CharacterBounds> bounds;
    private readonly List<int>[] readers;
    private readonly List<(int State, CallEdge Edge)>[] calls;

    /// <param name="states">The edges of the states.</param>
    /// <param name="accepts">Whether a rule can end at a state.</param>
    /// <param name="rules">The rules.</param>
    /// <param name="bounds">The bounds of strings.</param>
    public GrammarCosts(Edges[] states, bool[] accepts, Rule[] rules, IReadOnlyList<CharacterBounds> bounds)
    {
        this.states = states;
        this.accepts = accepts;
        this.rules = rules;
        this.bounds = bounds;
        readers = new List<int>[states.Length];
        calls = new List<(int, CallEdge)>[states.Length];
        for (var state = 0; state < states.Length; state++)
        {
            foreach (var edge in states[state].Bytes) (readers[edge.Target] ??= []).Add(state);
            foreach (var edge in states[state].Tokens) (readers[edge.Target] ??= []).Add(state);
            foreach (var edge in states[state].Calls)
            {
                (calls[rules[edge.Rule].Start] ??= []).Add((state, edge));
                (calls[edge.Return] ??= []).Add((state, edge));
            }
        }
    }

    /// <summary>Returns the least number of bytes.</summary>
    public int[] Distances() => Solve(
        reading: rest => rest + 1,
        calling: (edge, inner, rest) => (long)inner + rest + (edge.Bounds < 0 ? 0 : bounds[edge.Bounds].Min));

    /// <summary>Returns the least nesting of objects and arrays.</summary>
    public int[] Nestings() => Solve(
        reading: rest => rest,
        calling: (edge, inner, rest) => Math.Max((long)inner + (rules[edge.Rule].IsContainer ? 1 : 0), rest));

    /// <summary>
    /// Returns by how many bytes one decision can make the shortest end longer, such as the start of another item.
    /// </summary>
    public int MaxDetour(int[] distances)
    {
        long longest = 0;
        for (var state = 0; state < states.Length; state++)
        {
            if (distances[state] == Grammar.Unreachable) continue;
            foreach (var edge in states[state].Bytes) Compare(1, distances[edge.Target], distances[state]);
            foreach (var edge in states[state].Tokens) Compare(1, distances[edge.Target], distances[state]);
            foreach (var edge in states[state].Calls)
                Compare(distances[rules[edge.Rule].Start], distances[edge.Return], distances[state]);
        }

        return (int)longest;

        void Compare(int first, int rest, int shortest)
        {
            if (first != Grammar.Unreachable && rest != Grammar.Unreachable)
                longest = Math.Max(longest, (long)first + rest - shortest);
        }
    }

    private int[] Solve(Func<int, long> reading, Func<CallEdge, int, int, long> calling)
    {
        var costs = new int[states.Length];
        Array.Fill(costs, Grammar.Unreachable);
        var queue = new PriorityQueue<int, int>();
        for (var state = 0; state < states.Length; state++)
            if (accepts[state])
                queue.Enqueue(state, 0);
        while (queue.TryDequeue(out var state, out var cost))
        {
            if (costs[state] != Grammar.Unreachable) continue;
            costs[state] = cost;
            foreach (var reader in readers[state] ?? [])
                Offer(reader, reading(cost));
            foreach (var (caller, edge) in calls[state] ?? [])
            {
                var (inner, rest) = (costs[rules[edge.Rule].Start], costs[edge.Return]);
                if (inner != Grammar.Unreachable && rest != Grammar.Unreachable)
                    Offer(caller, calling(edge, inner, rest));
            }
        }

        return costs;

        void Offer(int state, long cost)
        {
            if (costs[state] == Grammar.Unreachable && cost <= MaxCost) queue.Enqueue(state, (int)cost);
        }
    }
}
