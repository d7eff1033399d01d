using Sluice.Worker.Generation.Constraints.Grammars;

namespace Sluice.Worker.Generation.Constraints.Masks;

/// <summary>
/// All ways to read a text. Their number is limited: each of them leads to a text that the grammar accepts, so that
/// fewer ways only accept fewer texts.
/// </summary>
internal sealed class Configurations
{
    private const int MaxWays = 64;
    private const int MaxVisits = 4096;
    private readonly List<Configuration> ways = [];
    private int visits;

    /// <summary>The ways that can read more.</summary>
    public IReadOnlyList<Configuration> Ways => ways;

    /// <summary>Whether the text can end here.</summary>
    public bool IsComplete { get; private set; }

    /// <summary>
    /// The characters of the string that ended with a rule whose stack is <see cref="Frame.Unknown"/>; -1: none ended.
    /// </summary>
    public int ExitCharacters { get; private set; } = -1;

    /// <summary>The greatest nesting that was reached.</summary>
    public int MaxNesting { get; private set; }

    /// <summary>Whether nothing is left: neither a way to read more nor an end.</summary>
    public bool IsEmpty => ways.Count == 0 && !IsComplete && ExitCharacters < 0;

    /// <summary>Removes everything.</summary>
    public void Clear()
    {
        ways.Clear();
        visits = 0;
        IsComplete = false;
        ExitCharacters = -1;
        MaxNesting = 0;
    }

    /// <summary>Adds the ways of another set after a byte.</summary>
    public void AddAfter(Grammar grammar, Configurations before, byte value)
    {
        foreach (var way in before.ways) AddAfter(grammar, way, value);
    }

    /// <summary>Adds the ways of another set after a special token.</summary>
    public void AddAfterToken(Grammar grammar, Configurations before, int token)
    {
        foreach (var way in before.ways)
            foreach (var edge in grammar.States[way.State].Tokens)
                if (edge.Token == token)
                    Add(grammar, edge.Target, way.Frame, -1, 0);
    }

    /// <summary>Adds a state, and the states of the rules that it calls and to which it returns.</summary>
    public void Add(Grammar grammar, int state, Frame? frame, int bounds, int characters)
    {
        while (true)
        {
            var nesting = frame?.Nesting ?? 0;
            if (!grammar.CanEnd(state, nesting)) return;
            if (++visits > MaxVisits && ways.Count > 0) return;
            MaxNesting = Math.Max(MaxNesting, nesting + grammar.Nestings[state]);
            var edges = grammar.States[state];
            if (edges.Bytes.Length + edges.Tokens.Length > 0)
                Add(new Configuration(state, frame, bounds, characters));
            foreach (var call in edges.Calls)
            {
                if (!grammar.CanEnd(call.Return, nesting)) continue;
                var rule = grammar.Rules[call.Rule];
                var inner = new Frame(call.Return, frame, nesting + (rule.IsContainer ? 1 : 0));
                Add(grammar, rule.Start, inner, call.Bounds, 0);
            }

            if (!grammar.Accepts[state]) return;
            IsComplete |= frame is null;
            if (ReferenceEquals(frame, Frame.Unknown)) ExitCharacters = characters;
            if (frame is null || ReferenceEquals(frame, Frame.Unknown)) return;
            (state, frame, bounds, characters) = (frame.ReturnState, frame.Parent, -1, 0);
        }
    }

    private void AddAfter(Grammar grammar, in Configuration way, byte value)
    {
        foreach (var edge in grammar.States[way.State].Bytes)
        {
            if (value < edge.Low || value > edge.High) continue;
            var characters = way.Characters;
            if (edge.Role != CharacterRole.None && way.Bounds >= 0)
            {
                var bounds = grammar.Bounds[way.Bounds];
                if (edge.Role == CharacterRole.Ends && characters < bounds.Min) continue;
                if (edge.Role == CharacterRole.Starts && characters++ == bounds.Max) continue;
            }

            if (!grammar.IsPlain(edge.Target)) Add(grammar, edge.Target, way.Frame, way.Bounds, characters);
            else if (grammar.CanEnd(edge.Target, way.Frame?.Nesting ?? 0))
                Add(new Configuration(edge.Target, way.Frame, way.Bounds, characters));
        }
    }

    /// <summary>Adds a way as it is.</summary>
    public void Add(in Configuration way)
    {
        if (ways.Count >= MaxWays) return;
        foreach (var other in ways)
            if (other.IsSame(way))
                return;
        ways.Add(way);
    }
}
