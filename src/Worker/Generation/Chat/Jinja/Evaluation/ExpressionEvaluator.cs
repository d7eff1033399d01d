using Sluice.Worker.Generation.Chat.Jinja.Syntax;
using Sluice.Worker.Generation.Chat.Jinja.Values;

namespace Sluice.Worker.Generation.Chat.Jinja.Evaluation;

/// <summary>Evaluates expressions.</summary>
internal sealed class ExpressionEvaluator
{
    private readonly EvaluationBudget budget;
    private readonly Methods methods;
    private readonly Filters filters;
    private readonly BinaryOperators operators;
    private readonly Slices slices;

    /// <param name="budget">Counts what the evaluation uses.</param>
    public ExpressionEvaluator(EvaluationBudget budget)
    {
        this.budget = budget;
        methods = new Methods(budget);
        filters = new Filters(methods, budget);
        operators = new BinaryOperators(budget);
        slices = new Slices(budget);
    }

    /// <summary>Returns the value of an expression.</summary>
    public Value Evaluate(Expression expression, Scope scope)
    {
        budget.Enter();
        var value = expression switch
        {
            Expression.Name name => scope.Find(name.Value),
            Expression.Text text => new StringValue(text.Value),
            Expression.Number number => new NumberValue(number.Value, number.IsFloat),
            Expression.Member member => EvaluateMember(member, scope),
            Expression.Call call => EvaluateCall(call, scope),
            Expression.Binary binary => EvaluateBinary(binary, scope),
            Expression.Unary unary => EvaluateUnary(unary, scope),
            Expression.Test test => BooleanValue.From(
                ValueTests.Evaluate(test.TestName, Evaluate(test.Operand, scope)) != test.IsNegated),
            Expression.Filter filter => ApplyFilter(filter.Function, Evaluate(filter.Operand, scope), scope),
            Expression.Conditional conditional => EvaluateConditional(conditional, scope),
            Expression.List list => new ListValue([.. list.Items.Select(i => Evaluate(i, scope))], list.IsTuple),
            Expression.Mapping mapping => EvaluateMapping(mapping, scope),
            _ => throw TemplateException.Evaluation("A slice is not expected here."),
        };
        budget.Leave();
        return value;
    }

    /// <summary>Applies a filter to a value.</summary>
    public Value ApplyFilter(FilterCall filter, Value operand, Scope scope)
    {
        var arguments = filter.Arguments is null ? null : EvaluateArguments(filter.Arguments, scope);
        return filters.Apply(filter.Name, operand, arguments, scope);
    }

    /// <summary>Evaluates the arguments of a call: those without a name first.</summary>
    public CallArguments EvaluateArguments(IReadOnlyList<Argument> arguments, Scope scope)
    {
        if (arguments.Count == 0) return CallArguments.None;
        var positional = new List<Value>();
        var named = new OrderedDictionary<string, Value>();
        foreach (var argument in arguments)
            if (argument.Kind == ArgumentKind.Positional) positional.Add(Evaluate(argument.Value, scope));
            else if (argument.Kind == ArgumentKind.Unpacked) positional.AddRange(Unpack(argument.Value, scope));
        foreach (var argument in arguments)
            if (argument.Kind == ArgumentKind.Keyword) AddNamed(argument.Name, Evaluate(argument.Value, scope));
            else if (argument.Kind == ArgumentKind.UnpackedKeywords)
                foreach (var (name, value) in UnpackNamed(argument.Value, scope))
                    AddNamed(name, value);
        return new CallArguments(positional, named);

        void AddNamed(string name, Value value)
        {
            if (!named.TryAdd(name, value))
                throw TemplateException.Evaluation($"A call has several arguments '{name}'.");
        }
    }

    private IReadOnlyList<Value> Unpack(Expression expression, Scope scope)
    {
        if (Evaluate(expression, scope) is not ListValue list)
            throw TemplateException.Evaluation("An argument with '*' is not a list.");
        budget.UseSteps(list.Items.Count);
        return list.Items;
    }

    private OrderedDictionary<string, Value> UnpackNamed(Expression expression, Scope scope)
    {
        if (Evaluate(expression, scope) is not MappingValue { Kind: not MappingKind.Namespace } mapping)
            throw TemplateException.Evaluation("An argument with '**' is not an object.");
        budget.UseSteps(mapping.Entries.Count);
        return mapping.Entries;
    }

    private Value EvaluateCall(Expression.Call call, Scope scope)
    {
        var arguments = EvaluateArguments(call.Arguments, scope);
        return Evaluate(call.Callee, scope) is FunctionValue function
            ? function.Invoke(arguments, scope)
            : throw TemplateException.Evaluation($"{Describe(call.Callee)} is not a function.");
    }

    private static string Describe(Expression expression) => expression switch
    {
        Expression.Name name => $"'{name.Value}'",
        Expression.Member { IsComputed: false, Property: Expression.Name name } => $"'{name.Value}'",
        _ => "What is called",
    };

    private Value EvaluateMember(Expression.Member member, Scope scope)
    {
        var owner = Evaluate(member.Owner, scope);
        if (member.Property is Expression.Slice slice)
            return slices.Cut(owner, Part(slice.Start, scope), Part(slice.Stop, scope), Part(slice.Step, scope));
        var property = member switch
        {
            { IsComputed: true } => Evaluate(member.Property, scope),
            { Property: Expression.Name name } => new StringValue(name.Value),
            _ => Evaluate(member.Property, scope),
        };
        return Find(owner, property) ?? UndefinedValue.Instance;
    }

    private Value? Part(Expression? part, Scope scope) => part is null ? null : Evaluate(part, scope);

    private Value? Find(Value owner, Value property)
    {
        if (property is StringValue name)
            return (owner as MappingValue)?.Entries.GetValueOrDefault(name.Text) ?? methods.Find(owner, name.Text);
        if (property is not NumberValue { IsFloat: false } index || owner is not (ListValue or StringValue))
            throw TemplateException.Evaluation(
                $"A value of type {property.TypeName} cannot select a part of a {owner.TypeName}.");
        var length = owner is ListValue list ? list.Items.Count : ((StringValue)owner).Text.Length;
        var position = index.Number < 0 ? index.Number + length : index.Number;
        if (!(position >= 0 && position < length)) return null;
        return owner is ListValue items
            ? items.Items[(int)position]
            : new StringValue(((StringValue)owner).Text[(int)position].ToString());
    }

    private Value EvaluateBinary(Expression.Binary binary, Scope scope)
    {
        var left = Evaluate(binary.Left, scope);
        return binary.Operator switch
        {
            "and" => left.IsTrue ? Evaluate(binary.Right, scope) : left,
            "or" => left.IsTrue ? left : Evaluate(binary.Right, scope),
            _ => operators.Apply(binary.Operator, left, Evaluate(binary.Right, scope)),
        };
    }

    private Value EvaluateUnary(Expression.Unary unary, Scope scope)
    {
        var operand = Evaluate(unary.Operand, scope);
        if (unary.Operator == "not") return BooleanValue.From(!operand.IsTrue);
        if (NumberValue.Of(operand) is not { } number)
            throw TemplateException.Evaluation($"'{unary.Operator}' needs a number, not a {operand.TypeName}.");
        return new NumberValue(unary.Operator == "-" ? -number : number, operand is NumberValue { IsFloat: true });
    }

    private Value EvaluateConditional(Expression.Conditional conditional, Scope scope)
    {
        if (Evaluate(conditional.Condition, scope).IsTrue) return Evaluate(conditional.Value, scope);
        return conditional.Other is null ? UndefinedValue.Instance : Evaluate(conditional.Other, scope);
    }

    private MappingValue EvaluateMapping(Expression.Mapping mapping, Scope scope)
    {
        var entries = new OrderedDictionary<string, Value>();
        foreach (var (key, value) in mapping.Entries)
        {
            if (Evaluate(key, scope) is not StringValue name)
                throw TemplateException.Evaluation("The names of an object must be strings.");
            entries[name.Text] = Evaluate(value, scope);
        }

        return new MappingValue(entries);
    }
}
