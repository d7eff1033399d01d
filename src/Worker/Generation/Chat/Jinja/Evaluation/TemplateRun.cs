using System.Text;
using Sluice.Worker.Generation.Chat.Jinja.Syntax;
using Sluice.Worker.Generation.Chat.Jinja.Values;

namespace Sluice.Worker.Generation.Chat.Jinja.Evaluation;

/// <summary>How a block of statements ended.</summary>
internal enum BlockEnd
{
    /// <summary>After its last statement.</summary>
    Normal,

    /// <summary>With <c>break</c>.</summary>
    Break,

    /// <summary>With <c>continue</c>.</summary>
    Continue,
}

/// <summary>One evaluation of a template: executes its statements.</summary>
/// <param name="budget">Counts what the evaluation uses.</param>
internal sealed class TemplateRun(EvaluationBudget budget)
{
    private readonly ExpressionEvaluator expressions = new(budget);
    private StringBuilder output = new();

    /// <summary>Executes a template and returns its output.</summary>
    public string Execute(IReadOnlyList<Statement> statements, Scope scope) => Capture(statements, scope).Text;

    private StringValue Capture(IReadOnlyList<Statement> statements, Scope scope)
    {
        var outer = output;
        output = new StringBuilder();
        if (ExecuteBlock(statements, scope) != BlockEnd.Normal)
            throw TemplateException.Evaluation("'break' or 'continue' is not inside a loop.");
        var text = output.ToString();
        output = outer;
        return new StringValue(text);
    }

    private BlockEnd ExecuteBlock(IReadOnlyList<Statement> statements, Scope scope)
    {
        foreach (var statement in statements)
        {
            budget.Enter();
            var end = Execute(statement, scope);
            budget.Leave();
            if (end != BlockEnd.Normal) return end;
        }

        return BlockEnd.Normal;
    }

    private BlockEnd Execute(Statement statement, Scope scope)
    {
        switch (statement)
        {
            case Statement.Text text: Write(text.Value); break;
            case Statement.Output output: Write(expressions.Evaluate(output.Value, scope)); break;
            case Statement.If @if: return ExecuteIf(@if, scope);
            case Statement.For @for: return ExecuteFor(@for, scope);
            case Statement.Jump jump: return jump.IsBreak ? BlockEnd.Break : BlockEnd.Continue;
            case Statement.Set set: ExecuteSet(set, scope); break;
            case Statement.Macro macro:
                scope.Set(macro.Name, CreateFunction(macro.Name, macro.Procedure, definition: null));
                break;
            case Statement.CallBlock block: ExecuteCallBlock(block, scope); break;
            case Statement.FilterBlock block:
                Write(expressions.ApplyFilter(block.Function, Capture(block.Body, scope), scope));
                break;
        }

        return BlockEnd.Normal;
    }

    private void Write(Value value)
    {
        if (value is not (NullValue or UndefinedValue)) Write(ValueText.Format(value, budget));
    }

    private void Write(string text)
    {
        budget.UseCharacters(text.Length);
        budget.CheckOutput(output.Length + (long)text.Length);
        output.Append(text);
    }

    private BlockEnd ExecuteIf(Statement.If statement, Scope scope)
    {
        foreach (var branch in statement.Branches)
            if (expressions.Evaluate(branch.Condition, scope).IsTrue)
                return ExecuteBlock(branch.Body, scope);
        return ExecuteBlock(statement.Otherwise, scope);
    }

    // As in the reference, all iterations share a scope, and `break` and `continue` discard what the iteration wrote.
    private BlockEnd ExecuteFor(Statement.For statement, Scope outer)
    {
        var scope = new Scope(outer);
        var items = SelectItems(statement, scope);
        var hasIterated = false;
        for (var i = 0; i < items.Count; i++)
        {
            scope.Set("loop", DescribeLoop(items, i));
            Assign(statement.Variable, items[i], scope);
            var start = output.Length;
            var end = ExecuteBlock(statement.Body, scope);
            if (end != BlockEnd.Normal) output.Length = start;
            if (end == BlockEnd.Break) break;
            hasIterated |= end == BlockEnd.Normal;
        }

        return hasIterated ? BlockEnd.Normal : ExecuteBlock(statement.Otherwise, scope);
    }

    private IReadOnlyList<Value> SelectItems(Statement.For statement, Scope scope)
    {
        var items = expressions.Evaluate(statement.Items, scope) switch
        {
            ListValue list => list.Items,
            MappingValue { Kind: not MappingKind.Namespace } mapping => mapping.Keys().Items,
            var other => throw TemplateException.Evaluation($"A loop needs a list or object, not a {other.TypeName}."),
        };
        budget.UseSteps(items.Count);
        if (statement.Condition is null) return items;
        var selected = new List<Value>();
        foreach (var item in items)
        {
            var condition = new Scope(scope);
            Assign(statement.Variable, item, condition);
            if (expressions.Evaluate(statement.Condition, condition).IsTrue) selected.Add(item);
        }

        return selected;
    }

    private static void Assign(Expression target, Value item, Scope scope)
    {
        if (target is Expression.Name name)
        {
            scope.Set(name.Value, item);
            return;
        }

        var names = ((Expression.List)target).Items;
        if (item is not ListValue { IsTuple: false } list || list.Items.Count != names.Count)
            throw TemplateException.Evaluation($"A loop needs lists of {names.Count} values.");
        AssignAll(names, list, scope);
    }

    private static void AssignAll(IReadOnlyList<Expression> names, ListValue values, Scope scope)
    {
        for (var i = 0; i < names.Count; i++)
            scope.Set(
                (names[i] as Expression.Name)?.Value ?? throw TemplateException.Evaluation("Only names can be set."),
                values.Items[i]);
    }

    private static MappingValue DescribeLoop(IReadOnlyList<Value> items, int i) => new(new()
    {
        ["index"] = NumberValue.Integer(i + 1),
        ["index0"] = NumberValue.Integer(i),
        ["revindex"] = NumberValue.Integer(items.Count - i),
        ["revindex0"] = NumberValue.Integer(items.Count - i - 1),
        ["first"] = BooleanValue.From(i == 0),
        ["last"] = BooleanValue.From(i == items.Count - 1),
        ["length"] = NumberValue.Integer(items.Count),
        ["previtem"] = i > 0 ? items[i - 1] : UndefinedValue.Instance,
        ["nextitem"] = i < items.Count - 1 ? items[i + 1] : UndefinedValue.Instance,
    });

    private void ExecuteSet(Statement.Set statement, Scope scope)
    {
        var value = statement.Value is null
            ? Capture(statement.Body, scope)
            : expressions.Evaluate(statement.Value, scope);
        switch (statement.Target)
        {
            case Expression.Name name:
                scope.Set(name.Value, value);
                break;
            case Expression.List { IsTuple: true } names:
                if (value is not ListValue list || list.Items.Count != names.Items.Count)
                    throw TemplateException.Evaluation($"'set' needs a list of {names.Items.Count} values.");
                AssignAll(names.Items, list, scope);
                break;
            case Expression.Member { Property: Expression.Name attribute } member:
                if (expressions.Evaluate(member.Owner, scope) is not MappingValue { Kind: MappingKind.Namespace } owner)
                    throw TemplateException.Evaluation("Only attributes of a namespace can be set.");
                owner.Entries[attribute.Value] = value;
                break;
            default:
                throw TemplateException.Evaluation("'set' needs a name or an attribute of a namespace.");
        }
    }

    // A macro sees the variables of its caller, a call block those of its definition, as in the reference.
    private FunctionValue CreateFunction(string name, Procedure procedure, Scope? definition) =>
        new((arguments, caller) =>
        {
            var scope = new Scope(definition ?? caller);
            Bind(name, procedure, arguments, scope);
            return Capture(procedure.Body, scope);
        });

    private void Bind(string name, Procedure procedure, CallArguments arguments, Scope scope)
    {
        var named = new OrderedDictionary<string, Value>(arguments.Named);
        var defaults = new List<Parameter>();
        for (var i = 0; i < procedure.Parameters.Count; i++)
        {
            var parameter = procedure.Parameters[i];
            var value = arguments.Positional.ElementAtOrDefault(i);
            if (value is null) named.Remove(parameter.Name, out value);
            if (value is null && parameter.Default is not null) defaults.Add(parameter);
            scope.Set(parameter.Name, value ?? UndefinedValue.Instance);
        }

        if (procedure.UsesKwargs) scope.Set("kwargs", new MappingValue(named));
        else if (named.Count > 0)
            throw TemplateException.Evaluation($"The macro '{name}' has no parameter '{named.GetAt(0).Key}'.");
        if (procedure.UsesVarargs)
            scope.Set("varargs", new ListValue([.. arguments.Positional.Skip(procedure.Parameters.Count)]));
        else if (arguments.Positional.Count > procedure.Parameters.Count)
            throw TemplateException.Evaluation(
                $"The macro '{name}' has {procedure.Parameters.Count} parameters, and is called with more arguments.");
        foreach (var parameter in defaults)
            scope.Set(parameter.Name, expressions.Evaluate(parameter.Default!, scope));
    }

    private void ExecuteCallBlock(Statement.CallBlock statement, Scope scope)
    {
        var arguments = expressions.EvaluateArguments(statement.Call.Arguments, scope);
        if (expressions.Evaluate(statement.Call.Callee, scope) is not FunctionValue function)
            throw TemplateException.Evaluation("'call' needs a macro.");
        var inner = new Scope(scope);
        inner.Set("caller", CreateFunction("caller", statement.Procedure, scope));
        Write(function.Invoke(arguments, inner));
    }
}
