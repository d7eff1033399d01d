namespace Sluice.Worker.Generation.Constraints.Grammars;

/// <summary>
/// The rules of JSON (RFC 8259) with limits, so that a text ends: at most 16 spaces after a line break, 15 digits, and
/// exponents up to 99. Each \u escape is a whole character.
/// </summary>
internal sealed class JsonRules
{
    private const int MaxIndent = 16;
    private const int MaxDigits = 15;
    private const string Hex = "0123456789abcdefABCDEF";
    private readonly GrammarBuilder grammar;

    /// <param name="grammar">The grammar to which the rules are added.</param>
    public JsonRules(GrammarBuilder grammar)
    {
        this.grammar = grammar;
        Space = AddSpace();
        String = AddString();
        Integer = AddNumber(isInteger: true);
        Number = AddNumber(isInteger: false);
        Value = grammar.AddRule();
        Object = grammar.AddRule(isContainer: true);
        Array = grammar.AddRule(isContainer: true);
        AddMap(Object, Value);
        AddArray(Array, Value);
        foreach (var rule in (int[])[String, Number, Object, Array])
            grammar.AddCall(grammar.Start(Value), rule, grammar.End(Value));
        foreach (var word in (string[])["true", "false", "null"])
            grammar.AddEmpty(grammar.AddText(grammar.Start(Value), System.Text.Encoding.ASCII.GetBytes(word)),
                grammar.End(Value));
    }

    /// <summary>White space between tokens: nothing, one space, or a line break with an indent.</summary>
    public int Space { get; }

    /// <summary>A string.</summary>
    public int String { get; }

    /// <summary>A number without fraction and exponent.</summary>
    public int Integer { get; }

    /// <summary>A number.</summary>
    public int Number { get; }

    /// <summary>Any value.</summary>
    public int Value { get; }

    /// <summary>Any object.</summary>
    public int Object { get; }

    /// <summary>Any array.</summary>
    public int Array { get; }

    /// <summary>Adds an object with any names, whose values a rule accepts.</summary>
    public void AddMap(int rule, int value)
    {
        var open = After(grammar.Start(rule), '{');
        var name = grammar.AfterCall(open, Space);
        var colon = grammar.AfterCall(name, String);
        var content = grammar.AfterCall(grammar.AfterCall(After(colon, ':'), Space), value);
        var close = grammar.AfterCall(content, Space);
        grammar.AddCall(After(content, ','), Space, name);
        grammar.AddBytes(close, '}', '}', grammar.End(rule));
        var empty = grammar.AfterCall(open, Space);
        grammar.AddBytes(empty, '}', '}', grammar.End(rule));
    }

    /// <summary>Adds any text to a state, which is also the state after it.</summary>
    public void AddText(int state)
    {
        grammar.AddBytes(state, 0x01, 0x7F, state);
        AddUtf8(state, state);
    }

    /// <summary>
    /// Adds any text up to the first occurrence of a marker of ASCII characters. The states count how much of the
    /// marker was read (Knuth, Morris and Pratt), so that there is one way to read a text.
    /// </summary>
    /// <returns>The state after the marker.</returns>
    public int AddTextTo(int from, string marker)
    {
        int[] states = [from, .. Enumerable.Range(0, marker.Length).Select(_ => grammar.AddState())];
        for (var read = 0; read < marker.Length; read++)
        {
            for (var c = '\x01'; c < '\x80'; c++)
                grammar.AddBytes(states[read], c, c, states[LengthOfPrefix(marker, marker[..read] + c)]);
            AddUtf8(states[read], from);
        }

        return states[^1];
    }

    // The length of the longest start of the marker at the end of the text.
    private static int LengthOfPrefix(string marker, string text)
    {
        var length = Math.Min(marker.Length, text.Length);
        while (!text.EndsWith(marker[..length], StringComparison.Ordinal)) length--;
        return length;
    }

    private void AddArray(int rule, int value)
    {
        var open = After(grammar.Start(rule), '[');
        var item = grammar.AfterCall(open, Space);
        var content = grammar.AfterCall(item, value);
        var close = grammar.AfterCall(content, Space);
        grammar.AddCall(After(content, ','), Space, item);
        grammar.AddBytes(close, ']', ']', grammar.End(rule));
        var empty = grammar.AfterCall(open, Space);
        grammar.AddBytes(empty, ']', ']', grammar.End(rule));
    }

    private int AddSpace()
    {
        var rule = grammar.AddRule();
        var (start, end) = (grammar.Start(rule), grammar.End(rule));
        grammar.AddEmpty(start, end);
        grammar.AddBytes(start, ' ', ' ', end);
        var state = After(start, '\n');
        for (var i = 0; i < MaxIndent; i++)
        {
            grammar.AddEmpty(state, end);
            state = After(state, ' ');
        }

        grammar.AddEmpty(state, end);
        return rule;
    }

    private int AddString()
    {
        var rule = grammar.AddRule();
        var content = After(grammar.Start(rule), '"');
        grammar.AddBytes(content, '"', '"', grammar.End(rule), CharacterRole.Ends);
        foreach (var (low, high) in ((int, int)[])[(0x20, 0x21), (0x23, 0x5B), (0x5D, 0x7F)])
            grammar.AddBytes(content, low, high, content, CharacterRole.Starts);
        AddUtf8(content, content);
        AddEscapes(content);
        return rule;
    }

    // The well-formed sequences of the Unicode standard, table 3-7.
    private void AddUtf8(int from, int to)
    {
        var one = grammar.AddState();
        var two = grammar.AddState();
        var three = grammar.AddState();
        grammar.AddBytes(one, 0x80, 0xBF, to);
        grammar.AddBytes(two, 0x80, 0xBF, one);
        grammar.AddBytes(three, 0x80, 0xBF, two);
        Lead(0xC2, 0xDF, one);
        Lead(0xE0, 0xE0, Between(0xA0, 0xBF, one));
        Lead(0xE1, 0xEC, two);
        Lead(0xED, 0xED, Between(0x80, 0x9F, one));
        Lead(0xEE, 0xEF, two);
        Lead(0xF0, 0xF0, Between(0x90, 0xBF, two));
        Lead(0xF1, 0xF3, three);
        Lead(0xF4, 0xF4, Between(0x80, 0x8F, two));

        void Lead(int low, int high, int next) => grammar.AddBytes(from, low, high, next, CharacterRole.Starts);

        int Between(int low, int high, int next)
        {
            var state = grammar.AddState();
            grammar.AddBytes(state, low, high, next);
            return state;
        }
    }

    // A surrogate is escaped only as a pair.
    private void AddEscapes(int content)
    {
        var escape = grammar.AddState();
        grammar.AddBytes(content, '\\', '\\', escape, CharacterRole.Starts);
        grammar.AddAny(escape, "\"\\/bfnrt", content);
        var lastTwo = AddHex(AddHex(content));
        var lastThree = AddHex(lastTwo);
        var first = After(escape, 'u');
        grammar.AddAny(first, "0123456789abcefABCEF", lastThree);
        var surrogate = grammar.AddState();
        grammar.AddAny(first, "dD", surrogate);
        grammar.AddAny(surrogate, "01234567", lastTwo);
        var low = grammar.AddState();
        grammar.AddAny(low, "cdefCDEF", lastTwo);
        var lowStart = grammar.AddState();
        grammar.AddAny(lowStart, "dD", low);
        var lowEscape = grammar.AddState();
        grammar.AddBytes(lowEscape, 'u', 'u', lowStart);
        var pair = grammar.AddState();
        grammar.AddBytes(pair, '\\', '\\', lowEscape);
        grammar.AddAny(surrogate, "89abAB", AddHex(AddHex(pair)));
    }

    private int AddHex(int next)
    {
        var state = grammar.AddState();
        grammar.AddAny(state, Hex, next);
        return state;
    }

    private int AddNumber(bool isInteger)
    {
        var rule = grammar.AddRule();
        var (start, end) = (grammar.Start(rule), grammar.End(rule));
        var first = After(start, '-');
        grammar.AddEmpty(start, first);
        var whole = grammar.AddState();
        grammar.AddBytes(first, '0', '0', whole);
        var digits = grammar.AddState();
        grammar.AddBytes(first, '1', '9', digits);
        AddDigits(digits, MaxDigits - 1, whole);
        grammar.AddEmpty(whole, end);
        if (isInteger) return rule;
        var fraction = grammar.AddState();
        AddFraction(whole, fraction);
        grammar.AddEmpty(fraction, end);
        var exponent = grammar.AddState();
        grammar.AddAny(whole, "eE", exponent);
        grammar.AddAny(fraction, "eE", exponent);
        var sign = grammar.AddState();
        grammar.AddAny(exponent, "+-", sign);
        grammar.AddEmpty(exponent, sign);
        var tens = grammar.AddState();
        grammar.AddBytes(sign, '0', '9', tens);
        AddDigits(tens, 1, end);
        return rule;
    }

    /// <summary>Adds a point and digits.</summary>
    public void AddFraction(int from, int to)
    {
        var first = grammar.AddState();
        grammar.AddBytes(After(from, '.'), '0', '9', first);
        AddDigits(first, MaxDigits - 1, to);
    }

    /// <summary>Adds at most a number of digits.</summary>
    public void AddDigits(int from, int most, int to)
    {
        for (var i = 0; i < most; i++)
        {
            grammar.AddEmpty(from, to);
            var next = grammar.AddState();
            grammar.AddBytes(from, '0', '9', next);
            from = next;
        }

        grammar.AddEmpty(from, to);
    }

    /// <summary>Returns the state after a character.</summary>
    private int After(int from, char c)
    {
        var next = grammar.AddState();
        grammar.AddBytes(from, c, c, next);
        return next;
    }
}
