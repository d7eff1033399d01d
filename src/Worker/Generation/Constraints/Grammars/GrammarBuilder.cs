namespace Sluice.Worker.Generation.Constraints.Grammars;

/// <summary>Builds a grammar. All grammars start with the rules of JSON.</summary>
internal sealed class GrammarBuilder
{
    /// <summary>The states and edges that a grammar may have. They bound memory and the time to compile.</summary>
    public const int MaxStates = 60_000;

    private const int MaxEdges = 400_000;

    private readonly List<List<ByteEdge>> bytes = [];
    private readonly List<List<CallEdge>> calls = [];
    private readonly List<List<TokenEdge>> tokens = [];
    private readonly List<List<int>> empty = [];
    private readonly List<int> starts = [];
    private readonly List<int> ends = [];
    private readonly List<bool> containers = [];
    private readonly List<CharacterBounds> bounds = [new(0, -1)];
    private readonly int sharedStates;

    public GrammarBuilder()
    {
        Json = new JsonRules(this);
        sharedStates = bytes.Count;
    }

    /// <summary>The rules of JSON.</summary>
    public JsonRules Json { get; }

    /// <summary>Adds a state and returns it.</summary>
    public int AddState()
    {
        if (bytes.Count >= MaxStates)
            throw new ConstraintException($"The schema is too large: it needs more than {MaxStates} states.");
        bytes.Add([]);
        calls.Add([]);
        tokens.Add([]);
        empty.Add([]);
        return bytes.Count - 1;
    }

    /// <summary>Adds a rule and returns it. Its states can be added later.</summary>
    public int AddRule(bool isContainer = false)
    {
        starts.Add(AddState());
        ends.Add(AddState());
        containers.Add(isContainer);
        return starts.Count - 1;
    }

    /// <summary>Returns the first state of a rule.</summary>
    public int Start(int rule) => starts[rule];

    /// <summary>Returns the state at which a rule ends.</summary>
    public int End(int rule) => ends[rule];

    /// <summary>Adds an edge for the bytes of a range.</summary>
    public void AddBytes(int from, int low, int high, int to, CharacterRole role = CharacterRole.None) =>
        bytes[from].Add(new ByteEdge((byte)low, (byte)high, to, role));

    /// <summary>Adds an edge for each of some ASCII characters.</summary>
    public void AddAny(int from, string characters, int to)
    {
        foreach (var c in characters) AddBytes(from, c, c, to);
    }

    /// <summary>Adds an edge that reads nothing.</summary>
    public void AddEmpty(int from, int to) => empty[from].Add(to);

    /// <summary>Adds an edge that calls a rule.</summary>
    public void AddCall(int from, int rule, int to) => calls[from].Add(new CallEdge(rule, to, -1));

    /// <summary>Adds an edge that calls the rule of strings with bounds for its characters.</summary>
    public void AddString(int from, CharacterBounds limits, int to)
    {
        bounds.Add(limits);
        calls[from].Add(new CallEdge(Json.String, to, bounds.Count - 1));
    }

    /// <summary>Adds an edge for a token without text.</summary>
    public void AddToken(int from, int token, int to) => tokens[from].Add(new TokenEdge(token, to));

    /// <summary>Adds edges for the bytes of a text. Returns the state after it.</summary>
    public int AddText(int from, ReadOnlySpan<byte> text)
    {
        foreach (var value in text)
        {
            var next = AddState();
            AddBytes(from, value, value, next);
            from = next;
        }

        return from;
    }

    /// <summary>Returns the state after a call of a rule at a state.</summary>
    public int AfterCall(int from, int rule)
    {
        var next = AddState();
        AddCall(from, rule, next);
        return next;
    }

    /// <summary>Builds the grammar.</summary>
    /// <param name="root">The rule of the whole text.</param>
    /// <exception cref="ConstraintException">
    /// The grammar is too large, has no text, or a rule calls itself before it has read a byte.
    /// </exception>
    public Grammar Build(int root)
    {
        var accepts = new bool[bytes.Count];
        var states = new Edges[bytes.Count];
        var ending = ends.ToHashSet();
        var edges = 0;
        for (var state = 0; state < states.Length; state++)
        {
            states[state] = Flatten(state, ending, ref accepts[state]);
            edges += states[state].Bytes.Length + states[state].Calls.Length + states[state].Tokens.Length;
            if (edges > MaxEdges)
                throw new ConstraintException($"The schema is too large: it needs more than {MaxEdges} transitions.");
        }

        Rule[] rules = [.. starts.Select((start, i) => new Rule(start, containers[i]))];
        var costs = new GrammarCosts(states, accepts, rules, bounds);
        var distances = costs.Distances();
        if (distances[starts[root]] == Grammar.Unreachable)
            throw new ConstraintException("No value, or none of less than 10 MB, satisfies the schema.");
        var nestings = costs.Nestings();
        if (nestings[starts[root]] > Grammar.MaxNesting)
            throw new ConstraintException($"The schema needs more than {Grammar.MaxNesting} levels of nesting.");
        RecursionCheck.Run(states, rules, distances);
        return new Grammar
        {
            States = states,
            Accepts = accepts,
            Distances = distances,
            MaxDetour = costs.MaxDetour(distances),
            Nestings = nestings,
            Rules = rules,
            Bounds = [.. bounds],
            Root = root,
            SharedStates = sharedStates,
        };
    }

    // The edges of all states that can be reached without reading anything.
    private Edges Flatten(int state, HashSet<int> ending, ref bool accepts)
    {
        accepts = ending.Contains(state);
        if (empty[state].Count == 0) return new Edges([.. bytes[state]], [.. calls[state]], [.. tokens[state]]);
        var allBytes = new HashSet<ByteEdge>();
        var allCalls = new HashSet<CallEdge>();
        var allTokens = new HashSet<TokenEdge>();
        var seen = new HashSet<int> { state };
        var queue = new Queue<int>(seen);
        while (queue.TryDequeue(out var next))
        {
            accepts |= ending.Contains(next);
            allBytes.UnionWith(bytes[next]);
            allCalls.UnionWith(calls[next]);
            allTokens.UnionWith(tokens[next]);
            foreach (var target in empty[next])
                if (seen.Add(target))
                    queue.Enqueue(target);
        }

        return new Edges([.. allBytes], [.. allCalls], [.. allTokens]);
    }
}
