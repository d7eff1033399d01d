namespace Sluice.Worker.Generation.Chat.Jinja.Values;

/// <summary>Compares values for sorting. Only values of one kind can be compared; booleans count as numbers.</summary>
/// <param name="isCaseSensitive">Whether upper and lower case differ.</param>
/// <param name="budget">Counts the comparisons.</param>
internal sealed class ValueOrder(bool isCaseSensitive, EvaluationBudget budget) : IComparer<Value>
{
    public int Compare(Value? x, Value? y)
    {
        budget.UseSteps(1);
        if (x is NullValue && y is NullValue) return 0;
        if (x is UndefinedValue && y is UndefinedValue) return 0;
        if (NumberValue.Of(x!) is { } a && NumberValue.Of(y!) is { } b) return a < b ? -1 : a > b ? 1 : 0;
        if (x is StringValue s && y is StringValue t)
        {
            budget.UseCharacters(Math.Min(s.Text.Length, t.Text.Length));
            return string.CompareOrdinal(Fold(s.Text), Fold(t.Text));
        }

        throw TemplateException.Evaluation(
            $"Values of type {x!.TypeName} and {y!.TypeName} cannot be compared to sort them.");
    }

    private string Fold(string text) => isCaseSensitive ? text : JavaScriptText.ToLower(text);
}
