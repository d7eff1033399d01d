using Sluice.Worker.Generation.Chat.Jinja.Values;

namespace Sluice.Worker.Generation.Chat.Jinja.Evaluation;

/// <summary>The tests after <c>is</c>, which <c>selectattr</c> uses too.</summary>
internal static class ValueTests
{
    /// <summary>Returns whether a value passes a test.</summary>
    /// <param name="name">The test.</param>
    /// <param name="value">The value.</param>
    /// <param name="operand">What <c>eq</c> compares it with.</param>
    public static bool Evaluate(string name, Value value, Value? operand = null) => name switch
    {
        "defined" => value is not UndefinedValue,
        "undefined" => value is UndefinedValue,
        "none" => value is NullValue,
        "boolean" => value is BooleanValue,
        "true" => value is BooleanValue { IsTrue: true },
        "false" => value is BooleanValue { IsTrue: false },
        "string" => value is StringValue,
        "number" => value is NumberValue,
        "integer" => value is NumberValue { IsFloat: false },
        "odd" => Integer(name, value) % 2 != 0,
        "even" => Integer(name, value) % 2 == 0,
        "iterable" => value is StringValue or ListValue { IsTuple: false },
        "mapping" => IsObject(value),
        "sequence" => value is ListValue or StringValue || IsObject(value),
        "callable" => value is FunctionValue,
        "lower" => value is StringValue s && s.Text == JavaScriptText.ToLower(s.Text),
        "upper" => value is StringValue s && s.Text == JavaScriptText.ToUpper(s.Text),
        "eq" or "equalto" when operand is not null => ValueEquality.AreSame(value, operand),
        "eq" or "equalto" => throw TemplateException.Evaluation($"The test '{name}' needs an argument."),
        _ => throw TemplateException.Evaluation($"The test '{name}' does not exist."),
    };

    private static bool IsObject(Value value) => value is MappingValue { Kind: not MappingKind.Namespace };

    private static double Integer(string name, Value value) => value is NumberValue { IsFloat: false } number
        ? number.Number
        : throw TemplateException.Evaluation($"The test '{name}' needs an integer, not a {value.TypeName}.");
}
