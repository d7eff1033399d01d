namespace Sluice.Worker.Generation.Chat.Jinja.Syntax;

/// <summary>Parses the statements of a template.</summary>
internal sealed class StatementParser
{
    private readonly TokenReader reader;
    private readonly ExpressionParser expressions;

    private StatementParser(TokenReader reader)
    {
        this.reader = reader;
        expressions = new ExpressionParser(reader);
    }

    /// <summary>Parses a template.</summary>
    public static IReadOnlyList<Statement> Parse(string template, TemplateLimits limits)
    {
        if (template.Length > limits.MaxTemplateLength)
            throw TemplateException.Limit(
                $"The chat template has {template.Length} characters; expected at most {limits.MaxTemplateLength}.");
        var parser = new StatementParser(new TokenReader(SourceText.Prepare(template), limits));
        var statements = new List<Statement>();
        while (!parser.reader.IsAtEnd) parser.ParseInto(statements, "a statement");
        return statements;
    }

    private List<Statement> ParseUntil(params ReadOnlySpan<string> ends)
    {
        reader.Enter();
        var statements = new List<Statement>();
        while (!reader.NextIsStatement(ends)) ParseInto(statements, $"'{{% {ends[^1]} %}}'");
        reader.Expect("{%");
        reader.Leave();
        return statements;
    }

    private void ParseInto(List<Statement> statements, string expected)
    {
        if (reader.NextIs(TokenKind.Text)) statements.Add(new Statement.Text(reader.Read(expected).Value));
        else if (reader.NextIs(TokenKind.Comment)) reader.Read(expected);
        else if (reader.TryRead("{%")) statements.Add(ParseStatement());
        else if (reader.TryRead("{{"))
        {
            statements.Add(new Statement.Output(expressions.Parse()));
            reader.Expect("}}");
        }
        else throw reader.Error(expected);
    }

    private Statement ParseStatement()
    {
        if (reader.TryReadName("if")) return ParseIf();
        if (reader.TryReadName("for")) return ParseFor();
        if (reader.TryReadName("set")) return ParseSet();
        if (reader.TryReadName("macro")) return ParseMacro();
        if (reader.TryReadName("call")) return ParseCallBlock();
        if (reader.TryReadName("filter")) return ParseFilterBlock();
        var isBreak = reader.TryReadName("break");
        if (!isBreak && !reader.TryReadName("continue"))
            throw reader.Error("if, for, set, macro, call, filter, break, continue or the end of an open block");
        reader.Expect("%}");
        return new Statement.Jump(isBreak);
    }

    private Statement.If ParseIf()
    {
        var branches = new List<Branch>();
        do
        {
            var condition = expressions.Parse();
            reader.Expect("%}");
            branches.Add(new Branch(condition, ParseUntil("elif", "else", "endif")));
        }
        while (reader.TryReadName("elif"));

        return new Statement.If(branches, ParseElse("endif"));
    }

    private Statement.For ParseFor()
    {
        var variable = expressions.ParseSequence(isTarget: true);
        if (variable is not (Expression.Name or Expression.List { IsTuple: true }))
            throw reader.ErrorBefore("expected a name, or names with commas between them, after 'for'.");
        reader.ExpectName("in");
        var items = expressions.Parse();
        reader.Expect("%}");
        Expression? condition = null;
        if (items is Expression.Conditional { Other: null } filtered)
        {
            condition = filtered.Condition;
            items = filtered.Value;
        }

        var body = ParseUntil("else", "endfor");
        return new Statement.For(variable, items, condition, body, ParseElse("endfor"));
    }

    // The tag is open, and its name is "else" or the end of the block.
    private List<Statement> ParseElse(string end)
    {
        List<Statement> otherwise = [];
        if (reader.TryReadName("else"))
        {
            reader.Expect("%}");
            otherwise = ParseUntil(end);
        }

        ExpectEnd(end);
        return otherwise;
    }

    private Statement.Set ParseSet()
    {
        var target = expressions.ParseSequence();
        if (reader.TryRead("="))
        {
            var value = expressions.ParseSequence();
            reader.Expect("%}");
            return new Statement.Set(target, value, []);
        }

        if (!reader.TryRead("%}")) throw reader.Error("'=' or '%}'");
        var body = ParseUntil("endset");
        ExpectEnd("endset");
        return new Statement.Set(target, null, body);
    }

    private Statement.Macro ParseMacro()
    {
        var name = reader.ReadName("the name of a macro");
        return new Statement.Macro(name, ParseProcedure(ParseParameters(), "endmacro"));
    }

    private Statement.CallBlock ParseCallBlock()
    {
        var parameters = reader.NextIs("(") ? ParseParameters() : [];
        var name = reader.ReadName("the name of a macro");
        var call = new Expression.Call(new Expression.Name(name), expressions.ParseArguments());
        return new Statement.CallBlock(call, ParseProcedure(parameters, "endcall"));
    }

    private Procedure ParseProcedure(List<Parameter> parameters, string end)
    {
        reader.Expect("%}");
        var start = reader.Position;
        var body = ParseUntil(end);
        var procedure = new Procedure(parameters, body, Uses("varargs"), Uses("kwargs"));
        ExpectEnd(end);
        return procedure;

        bool Uses(string name) => reader.HasVariable(name, start) && !parameters.Exists(p => p.Name == name);
    }

    private List<Parameter> ParseParameters()
    {
        var parameters = new List<Parameter>();
        foreach (var argument in expressions.ParseArguments())
        {
            var parameter = argument switch
            {
                { Kind: ArgumentKind.Keyword } => new Parameter(argument.Name, argument.Value),
                { Kind: ArgumentKind.Positional, Value: Expression.Name name } => new Parameter(name.Value, null),
                _ => throw reader.ErrorBefore("expected names as parameters."),
            };
            if (parameters.Exists(p => p.Name == parameter.Name))
                throw reader.ErrorBefore($"two parameters have the name '{parameter.Name}'.");
            parameters.Add(parameter);
        }

        return parameters;
    }

    private Statement.FilterBlock ParseFilterBlock()
    {
        var filter = expressions.ParseFilterCall();
        reader.Expect("%}");
        var body = ParseUntil("endfilter");
        ExpectEnd("endfilter");
        return new Statement.FilterBlock(filter, body);
    }

    private void ExpectEnd(string end)
    {
        reader.ExpectName(end);
        reader.Expect("%}");
    }
}
