using System.Globalization;

namespace Sluice.Worker.Generation.Chat.Jinja.Syntax;

/// <summary>
/// Parses expressions with the precedence of <c>@huggingface/jinja</c>. From weak to strong: <c>if</c>, <c>or</c>,
/// <c>and</c>, <c>not</c>, comparisons, <c>+ - ~</c>, <c>* / // %</c>, <c>**</c>, <c>is</c>, <c>|</c>, signs, calls and
/// attributes.
/// </summary>
/// <param name="reader">The tokens.</param>
internal sealed class ExpressionParser(TokenReader reader)
{
    /// <summary>Parses an expression.</summary>
    public Expression Parse()
    {
        reader.Enter();
        var value = ParseOr();
        if (reader.TryReadName("if"))
        {
            var condition = ParseOr();
            var other = reader.TryReadName("else") ? Parse() : null;
            value = new Expression.Conditional(condition, value, other);
        }

        reader.Leave();
        return value;
    }

    /// <summary>Parses an expression, or several with commas between them as a tuple.</summary>
    /// <param name="isTarget">Whether only targets of a loop are accepted.</param>
    public Expression ParseSequence(bool isTarget = false)
    {
        var first = ParseItem();
        if (!reader.NextIs(",")) return first;
        var items = new List<Expression> { first };
        while (reader.TryRead(",")) items.Add(ParseItem());
        return new Expression.List(items, IsTuple: true);

        Expression ParseItem() => isTarget ? ParsePrimary() : Parse();
    }

    /// <summary>Parses a filter: its name, and its arguments if it has parentheses.</summary>
    public FilterCall ParseFilterCall()
    {
        var name = reader.ReadName("the name of a filter");
        return new FilterCall(name, reader.NextIs("(") ? ParseArguments() : null);
    }

    /// <summary>Parses the arguments of a call. Commas are optional, as in the reference.</summary>
    public List<Argument> ParseArguments()
    {
        reader.Expect("(");
        var arguments = new List<Argument>();
        while (!reader.TryRead(")"))
        {
            var argument = ParseArgument();
            CheckOrder(arguments, argument);
            arguments.Add(argument);
            reader.TryRead(",");
            if (argument.Kind == ArgumentKind.UnpackedKeywords && !reader.NextIs(")"))
                throw reader.Error("')', because an argument with '**' is the last one");
        }

        return arguments;
    }

    private Argument ParseArgument()
    {
        if (reader.TryRead("**")) return new Argument(ArgumentKind.UnpackedKeywords, "", Parse());
        if (reader.TryRead("*")) return new Argument(ArgumentKind.Unpacked, "", Parse());
        var value = Parse();
        if (!reader.NextIs("=")) return new Argument(ArgumentKind.Positional, "", value);
        if (value is not Expression.Name name) throw reader.Error("a name before '='");
        reader.Expect("=");
        return new Argument(ArgumentKind.Keyword, name.Value, Parse());
    }

    private void CheckOrder(List<Argument> before, Argument argument)
    {
        if (argument.Kind == ArgumentKind.Unpacked && before.Exists(a => a.Kind == ArgumentKind.Unpacked))
            throw reader.ErrorBefore("a call has at most one argument with '*'.");
        if (argument.Kind == ArgumentKind.Positional && before.Exists(a => a.Kind != ArgumentKind.Positional))
            throw reader.ErrorBefore("arguments without a name must be before arguments with a name or '*'.");
    }

    private Expression ParseOr()
    {
        var left = ParseAnd();
        while (reader.TryReadName("or")) left = new Expression.Binary("or", left, ParseAnd());
        return left;
    }

    private Expression ParseAnd()
    {
        var left = ParseNot();
        while (reader.TryReadName("and")) left = new Expression.Binary("and", left, ParseNot());
        return left;
    }

    private Expression ParseNot()
    {
        if (!reader.TryReadName("not")) return ParseComparison();
        reader.Enter();
        Expression result = new Expression.Unary("not", ParseNot());
        reader.Leave();
        return result;
    }

    private Expression ParseComparison()
    {
        var left = ParseSum();
        while (ReadComparison() is { } symbol) left = new Expression.Binary(symbol, left, ParseSum());
        return left;
    }

    private string? ReadComparison()
    {
        if (reader.NextIsName("not") && reader.NextIsName("in", ahead: 1))
        {
            reader.ExpectName("not");
            reader.ExpectName("in");
            return "not in";
        }

        return reader.TryReadName("in") ? "in" : ReadOperator("<", ">", "<=", ">=", "==", "!=");
    }

    private Expression ParseSum()
    {
        var left = ParseProduct();
        while (ReadOperator("+", "-", "~") is { } symbol) left = new Expression.Binary(symbol, left, ParseProduct());
        return left;
    }

    private Expression ParseProduct()
    {
        var left = ParsePower();
        while (ReadOperator("*", "/", "//", "%") is { } symbol)
            left = new Expression.Binary(symbol, left, ParsePower());
        return left;
    }

    private Expression ParsePower()
    {
        var left = ParseTest();
        while (reader.TryRead("**")) left = new Expression.Binary("**", left, ParseTest());
        return left;
    }

    private Expression ParseTest()
    {
        var operand = ParseFilter();
        while (reader.TryReadName("is"))
        {
            var isNegated = reader.TryReadName("not");
            operand = new Expression.Test(operand, isNegated, reader.ReadName("the name of a test"));
        }

        return operand;
    }

    private Expression ParseFilter()
    {
        var operand = ParseSign();
        while (reader.TryRead("|")) operand = new Expression.Filter(operand, ParseFilterCall());
        return operand;
    }

    private Expression ParseSign()
    {
        string? sign = null;
        if (reader.NextIs(TokenKind.Sign)) sign = reader.Read("a sign").Value;
        else sign = ReadOperator("+", "-");
        if (sign is null) return ParsePostfix(ParsePrimary());
        reader.Enter();
        Expression result = new Expression.Unary(sign, ParseSign());
        reader.Leave();
        return result;
    }

    private Expression ParsePostfix(Expression value)
    {
        while (true)
            if (reader.TryRead(".")) value = new Expression.Member(value, ParseAttribute(), IsComputed: false);
            else if (reader.TryRead("[")) value = new Expression.Member(value, ParseItem(), IsComputed: true);
            else if (reader.NextIs("(")) value = new Expression.Call(value, ParseArguments());
            else return value;
    }

    private Expression ParseAttribute() => ParsePrimary() switch
    {
        Expression.Name name => name,
        Expression.Number { IsFloat: false } index => index,
        _ => throw reader.ErrorBefore("expected a name or an integer after '.'."),
    };

    // An item has one expression; a slice up to three, each of them optional, with colons between them.
    private Expression ParseItem()
    {
        var parts = new List<Expression?>();
        var isSlice = false;
        while (!reader.TryRead("]"))
        {
            var isEmpty = reader.NextIs(":");
            parts.Add(isEmpty ? null : Parse());
            isSlice |= reader.TryRead(":");
        }

        if (parts.Count == 0) throw reader.ErrorBefore("expected an index or a name before ']'.");
        if (!isSlice) return parts[0]!;
        if (parts.Count > 3) throw reader.ErrorBefore("a slice has at most three parts.");
        return new Expression.Slice(parts[0], parts.ElementAtOrDefault(1), parts.ElementAtOrDefault(2));
    }

    private Expression ParsePrimary()
    {
        var token = reader.Read("a value");
        switch (token.Kind)
        {
            case TokenKind.Number:
                return new Expression.Number(
                    double.Parse(token.Value, NumberStyles.Float, CultureInfo.InvariantCulture),
                    token.Value.Contains('.', StringComparison.Ordinal));
            case TokenKind.Identifier:
                return new Expression.Name(token.Value);
            case TokenKind.String:
                return new Expression.Text(ReadAdjacentStrings(token.Value));
            case TokenKind.Symbol when token.Value == "(":
                var inner = ParseSequence();
                reader.Expect(")");
                return inner;
            case TokenKind.Symbol when token.Value == "[":
                return new Expression.List(ParseItems(), IsTuple: false);
            case TokenKind.Symbol when token.Value == "{":
                return new Expression.Mapping(ParseEntries());
            default:
                throw reader.ErrorBefore($"found {token}, expected a value.");
        }
    }

    private string ReadAdjacentStrings(string first)
    {
        while (reader.NextIs(TokenKind.String)) first += reader.Read("a string").Value;
        return first;
    }

    private List<Expression> ParseItems()
    {
        var items = new List<Expression>();
        while (!reader.TryRead("]"))
        {
            items.Add(Parse());
            reader.TryRead(",");
        }

        return items;
    }

    private List<KeyValuePair<Expression, Expression>> ParseEntries()
    {
        var entries = new List<KeyValuePair<Expression, Expression>>();
        while (!reader.TryRead("}"))
        {
            var key = Parse();
            reader.Expect(":");
            entries.Add(new(key, Parse()));
            reader.TryRead(",");
        }

        return entries;
    }

    private string? ReadOperator(params ReadOnlySpan<string> symbols)
    {
        foreach (var symbol in symbols)
            if (reader.TryRead(symbol))
                return symbol;
        return null;
    }
}
