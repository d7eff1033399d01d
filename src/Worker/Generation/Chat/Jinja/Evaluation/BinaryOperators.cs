using Sluice.Worker.Generation.Chat.Jinja.Values;

namespace Sluice.Worker.Generation.Chat.Jinja.Evaluation;

/// <summary>The operators with two operands, except <c>and</c> and <c>or</c>.</summary>
/// <param name="budget">Counts steps and characters.</param>
internal sealed class BinaryOperators(EvaluationBudget budget)
{
    /// <summary>Returns the result of an operator.</summary>
    public Value Apply(string symbol, Value left, Value right)
    {
        switch (symbol)
        {
            case "==": return BooleanValue.From(ValueEquality.AreEqual(left, right, budget));
            case "!=": return BooleanValue.From(!ValueEquality.AreEqual(left, right, budget));
            // Nothing is in an undefined value.
            case "in" or "not in" when right is UndefinedValue: return BooleanValue.From(symbol == "not in");
        }

        if (left is UndefinedValue or NullValue || right is UndefinedValue or NullValue)
            throw NoOperator(symbol, left, right);
        return symbol switch
        {
            "~" => Concatenate(left, right),
            "in" => BooleanValue.From(IsIn(symbol, left, right)),
            "not in" => BooleanValue.From(!IsIn(symbol, left, right)),
            "**" => Power(left, right),
            _ => Calculate(symbol, left, right),
        };
    }

    private static TemplateException NoOperator(string symbol, Value left, Value right) => TemplateException.Evaluation(
        $"The operator '{symbol}' does not exist between {left.TypeName} and {right.TypeName}.");

    private StringValue Concatenate(Value left, Value right)
    {
        var (a, b) = (ValueText.FormatPrimitive(left, budget), ValueText.FormatPrimitive(right, budget));
        budget.UseCharacters(a.Length + b.Length);
        return new StringValue(a + b);
    }

    private bool IsIn(string symbol, Value left, Value right)
    {
        switch (right)
        {
            case ListValue list when left is not ListValue:
                budget.UseSteps(list.Items.Count);
                return list.Items.Any(item => ValueEquality.AreSame(item, left));
            case StringValue text when left is StringValue part:
                budget.UseCharacters(text.Text.Length);
                return text.Text.Contains(part.Text, StringComparison.Ordinal);
            case MappingValue { Kind: not MappingKind.Namespace } mapping when left is StringValue key:
                return mapping.Entries.ContainsKey(key.Text);
            default:
                throw NoOperator(symbol, left, right);
        }
    }

    private static NumberValue Power(Value left, Value right)
    {
        if (NumberValue.Of(left) is not { } a || NumberValue.Of(right) is not { } b)
            throw NoOperator("**", left, right);
        var result = Math.Pow(a, b);
        if (!double.IsFinite(result)) throw TemplateException.Evaluation($"{a} ** {b} is not a finite real number.");
        var isFloat = left is NumberValue { IsFloat: true } || right is NumberValue { IsFloat: true } || b < 0;
        return new NumberValue(result, isFloat);
    }

    private Value Calculate(string symbol, Value left, Value right)
    {
        if (left is NumberValue a && right is NumberValue b) return CalculateNumbers(symbol, a, b);
        if (symbol != "+") throw NoOperator(symbol, left, right);
        if (left is ListValue first && right is ListValue second)
        {
            budget.UseSteps(first.Items.Count + second.Items.Count);
            return new ListValue([.. first.Items, .. second.Items]);
        }

        if (left is StringValue || right is StringValue) return Concatenate(left, right);
        throw NoOperator(symbol, left, right);
    }

    private static Value CalculateNumbers(string symbol, NumberValue left, NumberValue right)
    {
        var (a, b) = (left.Number, right.Number);
        return symbol switch
        {
            "+" => Result(a + b),
            "-" => Result(a - b),
            "*" => Result(a * b),
            "/" => NumberValue.Float(a / b),
            "//" => Result(Math.Floor(a / b)),
            "%" => Result(a % b),
            "<" => BooleanValue.From(a < b),
            ">" => BooleanValue.From(a > b),
            "<=" => BooleanValue.From(a <= b),
            ">=" => BooleanValue.From(a >= b),
            _ => throw NoOperator(symbol, left, right),
        };

        NumberValue Result(double value) => new(value, left.IsFloat || right.IsFloat);
    }
}
