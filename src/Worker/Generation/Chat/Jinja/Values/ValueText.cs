using System.Text;

namespace Sluice.Worker.Generation.Chat.Jinja.Values;

/// <summary>Converts values to text.</summary>
internal static class ValueText
{
    /// <summary>
    /// Returns the text of a value where it is written to the output: a float has a fraction, and a list or an object
    /// is written as JSON.
    /// </summary>
    public static string Format(Value value, EvaluationBudget budget) => value switch
    {
        StringValue s => s.Text,
        NumberValue { IsFloat: true } number => FormatFloat(number.Number),
        ListValue or MappingValue => new ValueJson(budget) { Undefined = "undefined" }.Write(value),
        NullValue => "null",
        UndefinedValue => "undefined",
        _ => FormatPrimitive(value, budget),
    };

    /// <summary>
    /// Returns the text of a value where an operator or <c>join</c> makes a string of it. It is the one of the
    /// JavaScript value that the reference holds, which has no difference between integers and floats.
    /// </summary>
    public static string FormatPrimitive(Value value, EvaluationBudget budget)
    {
        switch (value)
        {
            case StringValue s: return s.Text;
            case NumberValue number: return JavaScriptNumber.Format(number.Number);
            case BooleanValue boolean: return boolean.IsTrue ? "true" : "false";
            case ListValue list: return JoinItems(list, budget);
            case MappingValue: return "[object Map]";
            case NullValue or UndefinedValue: return "";
            default: throw TemplateException.Evaluation($"A value of type {value.TypeName} cannot become a string.");
        }
    }

    private static string JoinItems(ListValue list, EvaluationBudget budget)
    {
        var builder = new StringBuilder();
        for (var i = 0; i < list.Items.Count; i++)
        {
            if (i > 0) builder.Append(',');
            budget.Enter();
            var text = Format(list.Items[i], budget);
            budget.Leave();
            budget.UseCharacters(text.Length);
            builder.Append(text);
        }

        return builder.ToString();
    }

    private static string FormatFloat(double value)
    {
        if (value == 0) return double.IsNegative(value) ? "-0.0" : "0.0";
        var text = JavaScriptNumber.Format(value);
        return value == Math.Truncate(value) && Math.Abs(value) < 1e21 ? text + ".0" : text;
    }
}
