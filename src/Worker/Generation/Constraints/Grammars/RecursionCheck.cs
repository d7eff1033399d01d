namespace Sluice.Worker.Generation.Constraints.Grammars;

/// <summary>
/// Rejects rules that call themselves before they have read a byte, and long chains of such calls. The others end.
/// </summary>
internal static class RecursionCheck
{
    private const int MaxChain = 128;

    /// <summary>Checks the rules.</summary>
    /// <exception cref="ConstraintException">A rule calls itself, or a chain is too long.</exception>
    public static void Run(Edges[] states, Rule[] rules, int[] distances)
    {
        // -1: not visited, 0: open, otherwise the length of the longest chain from the rule.
        var chains = new int[rules.Length];
        Array.Fill(chains, -1);
        for (var rule = 0; rule < rules.Length; rule++) Visit(rule, 0);

        int Visit(int rule, int depth)
        {
            if (chains[rule] == 0)
                throw new ConstraintException("A '$ref' of the schema leads back to itself without a value between.");
            if (chains[rule] > 0) return chains[rule];
            chains[rule] = 0;
            var longest = 1;
            if (depth <= MaxChain)
                foreach (var callee in FirstCalls(rules[rule].Start, states, rules, distances))
                    longest = Math.Max(longest, 1 + Visit(callee, depth + 1));
            if (depth > MaxChain || longest > MaxChain)
                throw new ConstraintException($"The schema has more than {MaxChain} '$ref' or 'anyOf' in each other.");
            return chains[rule] = longest;
        }
    }

    private static List<int> FirstCalls(int start, Edges[] states, Rule[] rules, int[] distances)
    {
        var found = new List<int>();
        var seen = new HashSet<int> { start };
        var queue = new Queue<int>(seen);
        while (queue.TryDequeue(out var state))
            foreach (var edge in states[state].Calls)
            {
                found.Add(edge.Rule);
                // A rule that accepts the empty text does not delay the calls after it.
                if (distances[rules[edge.Rule].Start] == 0 && seen.Add(edge.Return)) queue.Enqueue(edge.Return);
            }

        return found;
    }
}
