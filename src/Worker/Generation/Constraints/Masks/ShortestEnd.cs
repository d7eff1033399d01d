using Sluice.Worker.Generation.Constraints.Grammars;

namespace Sluice.Worker.Generation.Constraints.Masks;

/// <summary>Finds a shortest text that completes what was generated.</summary>
/// <param name="grammar">The grammar.</param>
internal sealed class ShortestEnd(Grammar grammar)
{
    /// <summary>Returns the least number of bytes to the end of the text.</summary>
    public long Distance(Configurations ways)
    {
        if (ways.IsComplete) return 0;
        return ways.Ways.Count == 0 ? long.MaxValue : ways.Ways.Min(way => Distance(way));
    }

    /// <summary>
    /// Returns the next bytes of a shortest end, up to a special token, or that token if it comes first.
    /// </summary>
    /// <param name="ways">The ways to read on.</param>
    /// <param name="maxLength">The number of bytes to find.</param>
    public (byte[] Bytes, int? Token) Find(Configurations ways, int maxLength)
    {
        var bytes = new List<byte>();
        var now = ways;
        while (!now.IsComplete && bytes.Count < maxLength)
        {
            var (next, value) = Step(now);
            // A special token that is nearer to the end ends the bytes.
            if (next is null || Distance(next) >= Distance(now))
                return ([.. bytes], bytes.Count == 0 ? FindToken(now) : null);
            bytes.Add(value);
            now = next;
        }

        return ([.. bytes], null);
    }

    // The byte after which the end is nearest.
    private (Configurations? Next, byte Value) Step(Configurations ways)
    {
        Configurations? best = null;
        byte value = 0;
        foreach (var way in ways.Ways)
        {
            var start = new Configurations();
            start.Add(way);
            foreach (var edge in grammar.States[way.State].Bytes)
            {
                var after = new Configurations();
                after.AddAfter(grammar, start, edge.Low);
                if (after.IsEmpty || (best is not null && Distance(after) >= Distance(best))) continue;
                (best, value) = (after, edge.Low);
            }
        }

        return (best, value);
    }

    private int? FindToken(Configurations ways)
    {
        foreach (var way in ways.Ways)
            foreach (var edge in grammar.States[way.State].Tokens)
                if (grammar.Distances[edge.Target] < grammar.Distances[way.State])
                    return edge.Token;
        return null;
    }

    private long Distance(in Configuration way)
    {
        long distance = grammar.Distances[way.State];
        if (way.Bounds >= 0) distance += Math.Max(0, grammar.Bounds[way.Bounds].Min - way.Characters);
        for (var frame = way.Frame; frame is not null; frame = frame.Parent)
            distance += grammar.Distances[frame.ReturnState];
        return distance;
    }
}
