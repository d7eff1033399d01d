using Sluice.Worker.Generation.Constraints.Grammars;

namespace Sluice.Worker.Generation.Constraints.Schemas;

/// <summary>Adds rules for strings.</summary>
/// <param name="grammar">The grammar.</param>
internal sealed class StringRules(GrammarBuilder grammar)
{
    private const int MaxLength = 1_000_000;

    /// <summary>Adds a rule.</summary>
    public int Add(Schema schema)
    {
        foreach (var keyword in (string[])["pattern", "format"])
            if (schema.Find(keyword) is not null)
                throw new ConstraintException($"{schema.PathOf(keyword)}: the keyword '{keyword}' is not supported.");
        var min = schema.FindCount("minLength", MaxLength) ?? 0;
        var max = schema.Find("maxLength") is null ? -1 : schema.FindCount("maxLength", int.MaxValue)!.Value;
        if (min == 0 && max < 0) return grammar.Json.String;
        if (max >= 0 && max < min) throw schema.Wrong("maxLength", "at least minLength");
        var rule = grammar.AddRule();
        grammar.AddString(grammar.Start(rule), new CharacterBounds(min, max), grammar.End(rule));
        return rule;
    }
}
