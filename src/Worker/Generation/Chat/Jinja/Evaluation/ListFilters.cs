using System.Globalization;
using Sluice.Worker.Generation.Chat.Jinja.Values;

namespace Sluice.Worker.Generation.Chat.Jinja.Evaluation;

/// <summary>The filters of lists.</summary>
/// <param name="budget">Counts steps and characters.</param>
internal sealed class ListFilters(EvaluationBudget budget)
{
    /// <summary>Applies a filter to a list.</summary>
    public Value Apply(string name, ListValue list, CallArguments arguments)
    {
        budget.UseSteps(list.Items.Count);
        switch (name)
        {
            case "list": return list;
            case "first": return list.Items.Count > 0 ? list.Items[0] : UndefinedValue.Instance;
            case "last": return list.Items.Count > 0 ? list.Items[^1] : UndefinedValue.Instance;
            case "length": return NumberValue.Integer(list.Items.Count);
            case "reverse": return new ListValue([.. list.Items.Reverse()]);
            case "sort": return Sort(list, arguments);
            case "join":
                return Join([.. list.Items.Select(i => ValueText.FormatPrimitive(i, budget))], arguments);
            case "string": return new StringValue(ValueText.Format(list, budget));
            case "unique": return Unique(list);
            case "map": return Map(list, arguments);
            case "selectattr" or "rejectattr": return Select(list, name == "selectattr", arguments);
            default: throw Filters.NoFilter(name, list);
        }
    }

    /// <summary>Joins texts with the separator among the arguments.</summary>
    public StringValue Join(IReadOnlyList<string> texts, CallArguments arguments)
    {
        var separator = arguments.Text(0, "separator") ?? "";
        budget.UseSteps(texts.Count);
        budget.UseCharacters(texts.Sum(t => (long)t.Length) + (separator.Length * (long)texts.Count));
        return new StringValue(string.Join(separator, texts));
    }

    private ListValue Sort(ListValue list, CallArguments arguments)
    {
        var isReverse = arguments.Flag(0, "reverse");
        var order = new ValueOrder(arguments.Flag(1, "case_sensitive"), budget);
        Func<Value, Value> key = arguments.Find(2, "attribute") switch
        {
            null or NullValue => item => item,
            StringValue path => item => Attribute(item, path.Text),
            NumberValue { IsFloat: false } index =>
                item => Attribute(item, index.Number.ToString(CultureInfo.InvariantCulture)),
            var other => throw CallArguments.Wrong("attribute", "a string or an integer", other),
        };
        return Methods.Sorted(list.Items, key, order, isReverse);
    }

    private ListValue Unique(ListValue list)
    {
        var kept = new List<Value>();
        foreach (var item in list.Items)
        {
            budget.UseSteps(kept.Count);
            if (!kept.Exists(k => ValueEquality.AreSame(k, item))) kept.Add(item);
        }

        return new ListValue(kept);
    }

    private static ListValue Map(ListValue list, CallArguments arguments)
    {
        if (arguments.Named.GetValueOrDefault("attribute") is not StringValue path)
            throw TemplateException.Evaluation("The filter 'map' needs the argument 'attribute' with a string.");
        var missing = arguments.Named.GetValueOrDefault("default") ?? UndefinedValue.Instance;
        return new ListValue([.. list.Items.Select(item =>
        {
            if (item is not MappingValue)
                throw TemplateException.Evaluation("The filter 'map' needs a list of objects.");
            var value = Attribute(item, path.Text);
            return value is UndefinedValue ? missing : value;
        })]);
    }

    private static ListValue Select(ListValue list, bool selects, CallArguments arguments)
    {
        if (arguments.Positional.ElementAtOrDefault(0) is not StringValue attribute)
            throw TemplateException.Evaluation("The filters 'selectattr' and 'rejectattr' need a name.");
        var test = (arguments.Positional.ElementAtOrDefault(1) as StringValue)?.Text;
        var operand = arguments.Positional.ElementAtOrDefault(2);
        return new ListValue([.. list.Items.Where(item =>
        {
            if (item is not MappingValue mapping)
                throw TemplateException.Evaluation("The filters 'selectattr' and 'rejectattr' need a list of objects.");
            var isSelected = mapping.Entries.GetValueOrDefault(attribute.Text) is { } value &&
                (test is null ? value.IsTrue : ValueTests.Evaluate(test, value, operand));
            return isSelected == selects;
        })]);
    }

    // A path has names of objects and indexes of lists, with dots between them.
    private static Value Attribute(Value value, string path)
    {
        foreach (var part in path.Split('.'))
            if (value is MappingValue mapping)
                value = mapping.Entries.GetValueOrDefault(part) ?? UndefinedValue.Instance;
            else if (value is ListValue list && JavaScriptNumber.ParseInteger(part) is >= 0 and var index &&
                     index < list.Items.Count)
                value = list.Items[(int)index];
            else
                return UndefinedValue.Instance;
        return value;
    }
}
