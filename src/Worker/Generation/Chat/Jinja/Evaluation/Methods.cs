using Sluice.Worker.Generation.Chat.Jinja.Values;

namespace Sluice.Worker.Generation.Chat.Jinja.Evaluation;

/// <summary>The methods and built-in attributes of values.</summary>
/// <param name="budget">Counts the characters.</param>
internal sealed class Methods(EvaluationBudget budget)
{
    private readonly StringFunctions strings = new(budget);

    /// <summary>Returns a method or a built-in attribute; null if there is none with this name.</summary>
    public Value? Find(Value owner, string name) => owner switch
    {
        StringValue s => FindForString(s.Text, name),
        ListValue list => name == "length" ? NumberValue.Integer(list.Items.Count) : null,
        MappingValue { Kind: not MappingKind.Namespace } mapping => FindForObject(mapping, name),
        _ => null,
    };

    private Value? FindForString(string text, string name) => name switch
    {
        "length" => NumberValue.Integer(text.Length),
        "upper" => Function(text, _ => new StringValue(JavaScriptText.ToUpper(text))),
        "lower" => Function(text, _ => new StringValue(JavaScriptText.ToLower(text))),
        "title" => Function(text, _ => new StringValue(JavaScriptText.ToTitle(text))),
        "capitalize" => Function(text, _ => new StringValue(Capitalize(text))),
        // As in the reference, which ignores the argument with the characters to remove.
        "strip" => Function(text, _ => new StringValue(JavaScriptText.Trim(text))),
        "lstrip" => Function(text, _ => new StringValue(JavaScriptText.TrimStart(text))),
        "rstrip" => Function(text, _ => new StringValue(JavaScriptText.TrimEnd(text))),
        "startswith" => Function("", a => Matches(a, name, p => text.StartsWith(p, StringComparison.Ordinal))),
        "endswith" => Function("", a => Matches(a, name, p => text.EndsWith(p, StringComparison.Ordinal))),
        "split" => Function("", a => Split(text, a)),
        "replace" => Function("", a => Replace(text, a)),
        _ => null,
    };

    private FunctionValue? FindForObject(MappingValue mapping, string name) => name switch
    {
        "get" => new FunctionValue((arguments, _) => Get(mapping, arguments)),
        "items" => new FunctionValue((_, _) => Listed(mapping, mapping.Items)),
        "keys" => new FunctionValue((_, _) => Listed(mapping, mapping.Keys)),
        "values" => new FunctionValue((_, _) => Listed(mapping, () => new ListValue([.. mapping.Entries.Values]))),
        "dictsort" => new FunctionValue((arguments, _) => Sort(mapping, arguments)),
        _ => null,
    };

    private FunctionValue Function(string text, Func<CallArguments, Value> function) => new((arguments, _) =>
    {
        budget.UseCharacters(text.Length);
        return function(arguments);
    });

    /// <summary>Returns the text with its first character in upper case.</summary>
    public static string Capitalize(string text) =>
        text.Length == 0 ? text : JavaScriptText.ToUpper(text[..1]) + text[1..];

    /// <summary>Replaces parts of a text, for the method and the filter.</summary>
    public StringValue Replace(string text, CallArguments arguments)
    {
        if (arguments.Positional is not [StringValue old, StringValue replacement, ..])
            throw TemplateException.Evaluation("replace() needs two strings.");
        var count = arguments.Find(2, "count") switch
        {
            null or NullValue => -1,
            NumberValue { IsFloat: false } number => number.Number,
            var other => throw CallArguments.Wrong("count", "an integer", other),
        };
        return new StringValue(strings.Replace(text, old.Text, replacement.Text, count));
    }

    private ListValue Split(string text, CallArguments arguments)
    {
        if (arguments.Named.Count > 0) throw TemplateException.Evaluation("split() has no named arguments.");
        var separator = arguments.Positional.ElementAtOrDefault(0) switch
        {
            null or NullValue => null,
            StringValue s => s.Text,
            var other => throw CallArguments.Wrong("sep", "a string", other),
        };
        var maxSplits = arguments.Positional.ElementAtOrDefault(1) switch
        {
            null => -1,
            NumberValue { IsFloat: false } number => number.Number,
            var other => throw CallArguments.Wrong("maxsplit", "an integer", other),
        };
        return strings.Split(text, separator, maxSplits);
    }

    private static BooleanValue Matches(CallArguments arguments, string name, Func<string, bool> matches)
    {
        var pattern = arguments.Positional.ElementAtOrDefault(0);
        if (pattern is StringValue s) return BooleanValue.From(matches(s.Text));
        if (pattern is not ListValue list)
            throw TemplateException.Evaluation($"{name}() needs a string or a tuple of strings.");
        foreach (var item in list.Items)
            if (item is not StringValue text)
                throw TemplateException.Evaluation($"{name}() needs a string or a tuple of strings.");
            else if (matches(text.Text))
                return BooleanValue.From(true);
        return BooleanValue.From(false);
    }

    private static Value Get(MappingValue mapping, CallArguments arguments)
    {
        if (arguments.Positional.ElementAtOrDefault(0) is not StringValue key)
            throw TemplateException.Evaluation("get() needs a string.");
        return mapping.Entries.GetValueOrDefault(key.Text) ??
            arguments.Positional.ElementAtOrDefault(1) ?? NullValue.Instance;
    }

    private ListValue Listed(MappingValue mapping, Func<ListValue> list)
    {
        budget.UseSteps(mapping.Entries.Count);
        return list();
    }

    private ListValue Sort(MappingValue mapping, CallArguments arguments)
    {
        var order = new ValueOrder(arguments.Flag(0, "case_sensitive"), budget);
        var index = (arguments.Text(1, "by") ?? "key") switch
        {
            "key" => 0,
            "value" => 1,
            _ => throw TemplateException.Evaluation("The argument 'by' of dictsort() must be 'key' or 'value'."),
        };
        var items = Listed(mapping, mapping.Items).Items;
        return Sorted(items, item => ((ListValue)item).Items[index], order, arguments.Flag(2, "reverse"));
    }

    /// <summary>Sorts values by a key. Values with equal keys keep their order.</summary>
    public static ListValue Sorted(IReadOnlyList<Value> items, Func<Value, Value> key, ValueOrder order, bool isReverse)
    {
        var comparer = isReverse ? Comparer<Value>.Create((a, b) => order.Compare(b, a)) : (IComparer<Value>)order;
        try
        {
            return new ListValue([.. items.OrderBy(key, comparer)]);
        }
        catch (InvalidOperationException e) when (e.InnerException is TemplateException inner)
        {
            throw inner;
        }
    }
}
