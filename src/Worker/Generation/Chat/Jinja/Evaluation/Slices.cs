using Sluice.Worker.Generation.Chat.Jinja.Values;

namespace Sluice.Worker.Generation.Chat.Jinja.Evaluation;

/// <summary>Slices of lists and strings, as Python has them.</summary>
/// <param name="budget">Counts elements.</param>
internal sealed class Slices(EvaluationBudget budget)
{
    /// <summary>Returns a part of a list or of the code points of a string.</summary>
    public Value Cut(Value owner, Value? start, Value? stop, Value? step)
    {
        switch (owner)
        {
            case ListValue list:
                return new ListValue(Select(list.Items, Number(start), Number(stop), Number(step) ?? 1));
            case StringValue text:
                budget.UseCharacters(text.Text.Length);
                var points = JavaScriptText.CodePoints(text.Text);
                return new StringValue(string.Concat(Select(points, Number(start), Number(stop), Number(step) ?? 1)));
            default:
                throw TemplateException.Evaluation($"A value of type {owner.TypeName} has no slices.");
        }
    }

    private static double? Number(Value? part) => part switch
    {
        null or UndefinedValue => null,
        NumberValue { IsFloat: false } number => number.Number,
        _ => throw TemplateException.Evaluation($"A slice needs integers, not a {part.TypeName}."),
    };

    private List<T> Select<T>(IReadOnlyList<T> items, double? start, double? stop, double step)
    {
        var result = new List<T>();
        var count = items.Count;
        if (step == 0) return result;
        var (low, high) = step > 0 ? (0, count) : (-1, count - 1);
        var end = Place(stop, step > 0 ? high : low);
        for (var i = Place(start, step > 0 ? low : high); step > 0 ? i < end : i > end; i += step)
        {
            budget.UseSteps(1);
            result.Add(items[(int)i]);
        }

        return result;

        double Place(double? index, int missing) =>
            index is not { } given ? missing : Math.Clamp(given < 0 ? given + count : given, low, high);
    }
}
