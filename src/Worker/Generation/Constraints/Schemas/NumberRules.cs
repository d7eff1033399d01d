using System.Globalization;
using System.Text.Json;
using Sluice.Worker.Generation.Constraints.Grammars;

namespace Sluice.Worker.Generation.Constraints.Schemas;

/// <summary>Adds rules for numbers. Bounds of integers are exact; bounds of other numbers must be integers.</summary>
/// <param name="grammar">The grammar.</param>
internal sealed class NumberRules(GrammarBuilder grammar)
{
    // The greatest number with 15 digits, which a double holds exactly.
    private const long Most = 999_999_999_999_999;

    /// <summary>Adds a rule for integers.</summary>
    public int AddInteger(Schema schema)
    {
        if (!HasBounds(schema)) return grammar.Json.Integer;
        var low = Math.Max(
            Bound(schema, "minimum") is { } min ? Limit(Math.Ceiling(min)) : -Most,
            Bound(schema, "exclusiveMinimum") is { } above ? Limit(Math.Floor(above)) + 1 : -Most);
        var high = Math.Min(
            Bound(schema, "maximum") is { } max ? Limit(Math.Floor(max)) : Most,
            Bound(schema, "exclusiveMaximum") is { } below ? Limit(Math.Ceiling(below)) - 1 : Most);
        if (low > high) throw schema.Wrong(BoundOf(schema), "bounds with an integer between them");
        var rule = grammar.AddRule();
        var (start, end) = (grammar.Start(rule), grammar.End(rule));
        if (high >= 0) AddDigits(start, end, Math.Max(low, 0), high);
        if (low < 0) AddDigits(AddMinus(start), end, Math.Max(-high, 1), -low);
        return rule;
    }

    /// <summary>Adds a rule for numbers.</summary>
    public int AddNumber(Schema schema)
    {
        if (!HasBounds(schema)) return grammar.Json.Number;
        var low = Integer(schema, "minimum");
        var high = Integer(schema, "maximum");
        var (above, below) = (Integer(schema, "exclusiveMinimum"), Integer(schema, "exclusiveMaximum"));
        var isLowOpen = above is not null && (low is null || above >= low);
        var isHighOpen = below is not null && (high is null || below <= high);
        var (from, to) = (isLowOpen ? above!.Value : low ?? -Most, isHighOpen ? below!.Value : high ?? Most);
        if (from > to || (from == to && (isLowOpen || isHighOpen)))
            throw schema.Wrong(BoundOf(schema), "bounds with a number between them");
        var rule = grammar.AddRule();
        var (start, end) = (grammar.Start(rule), grammar.End(rule));
        if (to > 0 || (to == 0 && !isHighOpen && from <= 0))
            AddMagnitudes(start, end, new Range(Math.Max(from, 0), to, isLowOpen && from >= 0, isHighOpen));
        if (from < 0)
            AddMagnitudes(AddMinus(start), end, new Range(Math.Max(-to, 0), -from, isHighOpen && to <= 0, isLowOpen));
        return rule;
    }

    private static bool HasBounds(Schema schema) =>
        SchemaTypes.Keywords("number").Any(keyword => schema.Find(keyword) is not null);

    private static string BoundOf(Schema schema) =>
        SchemaTypes.Keywords("number").First(keyword => schema.Find(keyword) is not null);

    // Numbers from one integer to another, where the ends may be excluded. Both are zero or more.
    private void AddMagnitudes(int start, int end, Range range)
    {
        var (low, high, isLowOpen, isHighOpen) = range;
        var first = low;
        if (isLowOpen)
        {
            // Above an integer: a fraction with a digit that is not 0.
            if (low < high) AddPositiveFraction(AddNumberText(start, low), end);
            first = low + 1;
        }

        if (first <= high - 1)
        {
            var whole = grammar.AddState();
            AddDigits(start, whole, first, high - 1);
            grammar.AddEmpty(whole, end);
            grammar.Json.AddFraction(whole, end);
        }

        if (!isHighOpen && first <= high) grammar.AddEmpty(AddNumberText(start, high), end);
    }

    private void AddPositiveFraction(int from, int end)
    {
        var digits = grammar.AddState();
        grammar.AddBytes(from, '.', '.', digits);
        for (var i = 0; i < 5; i++)
        {
            var rest = grammar.AddState();
            grammar.AddBytes(digits, '1', '9', rest);
            grammar.Json.AddDigits(rest, 8, end);
            var next = grammar.AddState();
            grammar.AddBytes(digits, '0', '0', next);
            digits = next;
        }

        grammar.AddBytes(digits, '1', '9', end);
    }

    private int AddNumberText(int from, long number) =>
        grammar.AddText(from, System.Text.Encoding.ASCII.GetBytes(number.ToString(CultureInfo.InvariantCulture)));

    private int AddMinus(int from)
    {
        var next = grammar.AddState();
        grammar.AddBytes(from, '-', '-', next);
        return next;
    }

    // The digits of the integers from low to high, both zero or more.
    private void AddDigits(int start, int end, long low, long high)
    {
        for (var length = 1; length <= 15; length++)
        {
            var least = length == 1 ? 0 : Power(length - 1);
            var most = Power(length) - 1;
            if (high < least || low > most) continue;
            AddSameLength(start, end, Text(Math.Max(low, least)), Text(Math.Min(high, most)));
        }

        static long Power(int exponent) => (long)Math.Pow(10, exponent);

        static string Text(long number) => number.ToString(CultureInfo.InvariantCulture);
    }

    // The states of a position: where the digits so far equal those of low, of high, of both, or of none.
    private void AddSameLength(int start, int end, string low, string high)
    {
        var states = new Dictionary<(bool, bool), int> { [(true, true)] = start };
        for (var i = 0; i < low.Length; i++)
        {
            var next = new Dictionary<(bool, bool), int>();
            foreach (var ((isLow, isHigh), state) in states)
                for (var digit = isLow ? low[i] : '0'; digit <= (isHigh ? high[i] : '9'); digit++)
                {
                    var key = (isLow && digit == low[i], isHigh && digit == high[i]);
                    if (!next.TryGetValue(key, out var target))
                        next.Add(key, target = i == low.Length - 1 ? end : grammar.AddState());
                    grammar.AddBytes(state, digit, digit, target);
                }

            states = next;
        }
    }

    private static long Limit(double value) => (long)Math.Clamp(value, -Most, Most);

    private static double? Bound(Schema schema, string keyword)
    {
        if (schema.Find(keyword) is not { } value) return null;
        return value.ValueKind == JsonValueKind.Number ? value.GetDouble() : throw schema.Wrong(keyword, "a number");
    }

    private static long? Integer(Schema schema, string keyword)
    {
        if (Bound(schema, keyword) is not { } value) return null;
        if (value != Math.Truncate(value)) throw schema.Wrong(keyword, "an integer");
        return Limit(value);
    }

    private readonly record struct Range(long Low, long High, bool IsLowOpen, bool IsHighOpen);
}
