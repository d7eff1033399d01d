using System.Globalization;
using System.Text;
using Sluice.Worker.Generation.Chat.Jinja.Values;

namespace Sluice.Worker.Generation.Chat.Jinja.Evaluation;

/// <summary>The variables and functions that every template has.</summary>
/// <param name="budget">Counts steps.</param>
/// <param name="now">The local time for <c>strftime_now</c>.</param>
internal sealed class Globals(EvaluationBudget budget, DateTimeOffset now)
{
    /// <summary>The names, which callers cannot use for variables of their own.</summary>
    public static readonly IReadOnlySet<string> Names = new HashSet<string>(StringComparer.Ordinal)
    {
        "true", "True", "false", "False", "none", "None", "raise_exception", "range", "strftime_now", "namespace",
    };

    /// <summary>Declares them in the outermost scope.</summary>
    public void Declare(Scope scope)
    {
        foreach (var name in (string[])["true", "True"]) scope.Set(name, BooleanValue.From(true));
        foreach (var name in (string[])["false", "False"]) scope.Set(name, BooleanValue.From(false));
        foreach (var name in (string[])["none", "None"]) scope.Set(name, NullValue.Instance);
        scope.Set("raise_exception", new FunctionValue((a, _) => Raise(a)));
        scope.Set("range", new FunctionValue((a, _) => Range(a)));
        scope.Set("strftime_now", new FunctionValue((a, _) => FormatNow(a)));
        scope.Set("namespace", new FunctionValue((a, _) => CreateNamespace(a)));
    }

    private UndefinedValue Raise(CallArguments arguments)
    {
        var reason = arguments.Positional.ElementAtOrDefault(0) is { } value
            ? ValueText.FormatPrimitive(value, budget)
            : "The chat template rejects these messages.";
        throw new TemplateException(TemplateErrorKind.Raised, reason);
    }

    private ListValue Range(CallArguments arguments)
    {
        var numbers = arguments.Positional.Select(Integer).ToList();
        var (start, stop, step) = numbers switch
        {
            [var end] => (0, end, 1),
            [var first, var end] => (first, end, 1),
            [var first, var end, var by, ..] => (first, end, by),
            _ => throw TemplateException.Evaluation("range() needs an integer."),
        };
        if (step == 0) throw TemplateException.Evaluation("The step of range() is 0.");
        var result = new List<Value>();
        for (var i = start; step > 0 ? i < stop : i > stop; i += step)
        {
            budget.UseSteps(1);
            result.Add(NumberValue.Integer(i));
        }

        return new ListValue(result);
    }

    private static double Integer(Value value) =>
        value is NumberValue { IsFloat: false } number && double.IsFinite(number.Number)
            ? number.Number
            : throw CallArguments.Wrong("range", "integers", value);

    private StringValue FormatNow(CallArguments arguments)
    {
        var format = arguments.Text(0, "format") ??
            throw TemplateException.Evaluation("strftime_now() needs a format.");
        var builder = new StringBuilder();
        for (var i = 0; i < format.Length; i++)
        {
            var pattern = format[i] != '%' || i + 1 >= format.Length ? null : format[i + 1] switch
            {
                'Y' => "yyyy",
                'm' => "MM",
                'd' => "dd",
                'b' => "MMM",
                'B' => "MMMM",
                'H' => "HH",
                'M' => "mm",
                '%' => "\\%",
                _ => null,
            };
            if (pattern is null)
            {
                builder.Append(format[i]);
                continue;
            }

            // A custom format of one letter needs a percent sign, and these have at least two.
            builder.Append(now.ToString(pattern == "\\%" ? "'%'" : pattern, CultureInfo.InvariantCulture));
            i++;
        }

        return new StringValue(builder.ToString());
    }

    private MappingValue CreateNamespace(CallArguments arguments)
    {
        var entries = new OrderedDictionary<string, Value>();
        var initial = arguments.Positional switch
        {
            [] => [],
            [MappingValue { Kind: not MappingKind.Namespace } mapping] => mapping.Entries,
            [ListValue list] => list.Items.Select(Pair),
            _ => throw TemplateException.Evaluation("namespace() needs an object or a list of pairs."),
        };
        foreach (var (name, value) in initial.Concat(arguments.Named))
        {
            budget.UseSteps(1);
            entries[name] = value;
        }

        return new MappingValue(entries, MappingKind.Namespace);
    }

    private static KeyValuePair<string, Value> Pair(Value pair)
    {
        if (pair is ListValue { Items: [StringValue name, var value] }) return new(name.Text, value);
        if (pair is StringValue text && JavaScriptText.CodePoints(text.Text) is [var first, var second])
            return new(first, new StringValue(second));
        throw TemplateException.Evaluation("namespace() needs an object or a list of pairs.");
    }
}
