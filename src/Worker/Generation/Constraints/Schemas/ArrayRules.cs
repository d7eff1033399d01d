using System.Text.Json;
using Sluice.Worker.Generation.Constraints.Grammars;

namespace Sluice.Worker.Generation.Constraints.Schemas;

/// <summary>Adds rules for arrays.</summary>
/// <param name="grammar">The grammar.</param>
/// <param name="compile">Compiles the schema of the items.</param>
internal sealed class ArrayRules(GrammarBuilder grammar, Func<JsonElement, string, int> compile)
{
    private const int MaxItems = 10_000;

    /// <summary>Adds a rule.</summary>
    public int Add(Schema schema)
    {
        var min = schema.FindCount("minItems", MaxItems) ?? 0;
        var max = schema.Find("maxItems") is null ? null : schema.FindCount("maxItems", int.MaxValue);
        if (max < min) throw schema.Wrong("maxItems", "at least minItems");
        // More items than this are never generated.
        if (max > MaxItems) max = null;
        var item = schema.Find("items") is { } items
            ? compile(items, schema.PathOf("items"))
            : grammar.Json.Value;
        return Add(item, min, max);
    }

    private int Add(int item, int min, int? max)
    {
        var rule = grammar.AddRule(isContainer: true);
        var open = grammar.AddState();
        grammar.AddBytes(grammar.Start(rule), '[', '[', open);
        var close = grammar.AddState();
        grammar.AddBytes(close, ']', ']', grammar.End(rule));
        if (min == 0) grammar.AddCall(open, grammar.Json.Space, close);
        if (max == 0) return rule;
        var before = grammar.AfterCall(open, grammar.Json.Space);
        // Without a greatest number, the last item repeats.
        var last = max ?? Math.Max(min, 1);
        for (var count = 1; ; count++)
        {
            var after = grammar.AfterCall(before, item);
            if (count >= min) grammar.AddCall(after, grammar.Json.Space, close);
            if (count == last && max is not null) return rule;
            var comma = grammar.AddState();
            grammar.AddBytes(after, ',', ',', comma);
            if (count == last)
            {
                grammar.AddCall(comma, grammar.Json.Space, before);
                return rule;
            }

            before = grammar.AfterCall(comma, grammar.Json.Space);
        }
    }
}
