using Sluice.Worker.Generation.Chat.Jinja.Values;

namespace Sluice.Worker.Generation.Chat.Jinja.Evaluation;

/// <summary>The filters.</summary>
/// <param name="methods">Methods that are filters too.</param>
/// <param name="budget">Counts steps and characters.</param>
internal sealed class Filters(Methods methods, EvaluationBudget budget)
{
    private readonly ListFilters lists = new(budget);
    private readonly StringFunctions strings = new(budget);

    /// <summary>Applies a filter.</summary>
    /// <param name="name">The filter.</param>
    /// <param name="operand">The value before it.</param>
    /// <param name="arguments">The arguments; null if the filter has no parentheses.</param>
    /// <param name="scope">The scope of the call.</param>
    public Value Apply(string name, Value operand, CallArguments? arguments, Scope scope)
    {
        var given = arguments ?? CallArguments.None;
        switch (name)
        {
            case "safe": return operand;
            case "tojson": return ToJson(operand, given);
            case "default": return Default(operand, given);
            case "int" or "float" when arguments is not null: return Convert(name == "int", operand, given);
        }

        return operand switch
        {
            ListValue list => lists.Apply(name, list, given),
            StringValue s => ApplyToString(name, s, given),
            NumberValue number => ApplyToNumber(name, number),
            MappingValue { Kind: not MappingKind.Namespace } mapping => ApplyToObject(name, mapping, given, scope),
            BooleanValue boolean => ApplyToBoolean(name, boolean),
            _ => throw NoFilter(name, operand),
        };
    }

    /// <summary>Returns the error for a filter that a value does not have.</summary>
    public static TemplateException NoFilter(string name, Value operand) =>
        TemplateException.Evaluation($"The filter '{name}' does not exist for values of type {operand.TypeName}.");

    private StringValue ToJson(Value operand, CallArguments arguments)
    {
        var indent = arguments.Named.GetValueOrDefault("indent") switch
        {
            null or NullValue => 0,
            NumberValue { IsFloat: false, Number: >= 0 and <= 64 } number => (int)number.Number,
            var other => throw CallArguments.Wrong("indent", "an integer from 0 to 64", other),
        };
        (string, string)? separators = arguments.Named.GetValueOrDefault("separators") switch
        {
            null or NullValue => null,
            ListValue { Items: [StringValue item, StringValue key] } => (item.Text, key.Text),
            var other => throw CallArguments.Wrong("separators", "a tuple of two strings", other),
        };
        var json = new ValueJson(budget)
        {
            Indent = indent,
            Separators = separators,
            EscapesNonAscii = arguments.Flag(int.MaxValue, "ensure_ascii"),
            SortsKeys = arguments.Flag(int.MaxValue, "sort_keys"),
        };
        return new StringValue(json.Write(operand));
    }

    private static Value Default(Value operand, CallArguments arguments)
    {
        var replacesFalse = arguments.Flag(1, "boolean");
        return operand is UndefinedValue || (replacesFalse && !operand.IsTrue)
            ? arguments.Positional.ElementAtOrDefault(0) ?? StringValue.Empty
            : operand;
    }

    private static Value Convert(bool toInteger, Value operand, CallArguments arguments)
    {
        switch (operand)
        {
            case StringValue s:
                var number = toInteger ? JavaScriptNumber.ParseInteger(s.Text) : JavaScriptNumber.ParseFloat(s.Text);
                if (double.IsNaN(number)) return arguments.Find(0, "default") ?? new NumberValue(0, !toInteger);
                return new NumberValue(number, !toInteger);
            case NumberValue: return operand;
            case BooleanValue: return new NumberValue(operand.IsTrue ? 1 : 0, !toInteger);
            default: throw NoFilter(toInteger ? "int" : "float", operand);
        }
    }

    private Value ApplyToString(string name, StringValue operand, CallArguments arguments)
    {
        var text = operand.Text;
        budget.UseCharacters(text.Length);
        switch (name)
        {
            case "length": return NumberValue.Integer(text.Length);
            case "upper": return new StringValue(JavaScriptText.ToUpper(text));
            case "lower": return new StringValue(JavaScriptText.ToLower(text));
            case "title": return new StringValue(JavaScriptText.ToTitle(text));
            case "capitalize": return new StringValue(Methods.Capitalize(text));
            case "trim": return new StringValue(JavaScriptText.Trim(text));
            case "string": return operand;
            case "int" or "float": return Convert(name == "int", operand, CallArguments.None);
            case "join": return lists.Join([.. JavaScriptText.CodePoints(text)], arguments);
            case "replace": return methods.Replace(text, arguments);
            case "indent":
                var width = arguments.Find(0, "width") switch
                {
                    null => 4,
                    NumberValue { IsFloat: false } number => number.Number,
                    var other => throw CallArguments.Wrong("width", "an integer", other),
                };
                var (first, blank) = (arguments.Find(1, "first"), arguments.Find(2, "blank"));
                return new StringValue(strings.Indent(text, width, first?.IsTrue ?? false, blank?.IsTrue ?? false));
            default: throw NoFilter(name, operand);
        }
    }

    private StringValue TextOf(Value value) => new(ValueText.Format(value, budget));

    private Value ApplyToNumber(string name, NumberValue operand) => name switch
    {
        "abs" => new NumberValue(Math.Abs(operand.Number), operand.IsFloat),
        "int" => NumberValue.Integer(Math.Floor(operand.Number)),
        "float" => NumberValue.Float(operand.Number),
        "string" => TextOf(operand),
        _ => throw NoFilter(name, operand),
    };

    private Value ApplyToObject(string name, MappingValue operand, CallArguments arguments, Scope scope)
    {
        if (name == "length") return NumberValue.Integer(operand.Entries.Count);
        return methods.Find(operand, name) is FunctionValue function
            ? function.Invoke(arguments, scope)
            : throw NoFilter(name, operand);
    }

    private Value ApplyToBoolean(string name, BooleanValue operand) => name switch
    {
        "bool" => operand,
        "int" or "float" => Convert(name == "int", operand, CallArguments.None),
        "string" => TextOf(operand),
        _ => throw NoFilter(name, operand),
    };
}
