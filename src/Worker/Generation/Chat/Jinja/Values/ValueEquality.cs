namespace Sluice.Worker.Generation.Chat.Jinja.Values;

/// <summary>The equality of values, as the reference has it from JavaScript.</summary>
internal static class ValueEquality
{
    /// <summary>
    /// Returns whether two values are equal for <c>in</c>, <c>unique</c> and the test <c>eq</c>: of the same kind and
    /// the same value; lists and objects only if they are the same one.
    /// </summary>
    public static bool AreSame(Value a, Value b) => (a, b) switch
    {
        (StringValue x, StringValue y) => x.Text == y.Text,
        (NumberValue x, NumberValue y) => x.Number == y.Number,
        (BooleanValue x, BooleanValue y) => x.IsTrue == y.IsTrue,
        (ListValue x, ListValue y) => ReferenceEquals(x.Items, y.Items),
        (MappingValue x, MappingValue y) => ReferenceEquals(x.Entries, y.Entries),
        _ => ReferenceEquals(a, b),
    };

    /// <summary>
    /// Returns whether two values are equal for the operator <c>==</c>, which also converts between kinds: undefined
    /// equals none, and a string equals the number that it stands for.
    /// </summary>
    public static bool AreEqual(Value a, Value b, EvaluationBudget budget)
    {
        if (a is NullValue or UndefinedValue || b is NullValue or UndefinedValue)
            return a is NullValue or UndefinedValue && b is NullValue or UndefinedValue;
        if (a is BooleanValue && b is not BooleanValue) return AreEqual(NumberOf(a), b, budget);
        if (b is BooleanValue && a is not BooleanValue) return AreEqual(a, NumberOf(b), budget);
        return (a, b) switch
        {
            (NumberValue x, StringValue y) => x.Number == JavaScriptNumber.Convert(y.Text),
            (StringValue x, NumberValue y) => JavaScriptNumber.Convert(x.Text) == y.Number,
            (ListValue or MappingValue, NumberValue or StringValue) => AreEqual(Primitive(a, budget), b, budget),
            (NumberValue or StringValue, ListValue or MappingValue) => AreEqual(a, Primitive(b, budget), budget),
            _ => AreSame(a, b),
        };
    }

    private static NumberValue NumberOf(Value boolean) => NumberValue.Integer(boolean.IsTrue ? 1 : 0);

    private static StringValue Primitive(Value value, EvaluationBudget budget) =>
        new(ValueText.FormatPrimitive(value, budget));
}
