using System.Text;

namespace Sluice.Worker.Tests.Generation.Chat;

/// <summary>Makes templates at random from a grammar. Some have errors of types, none of syntax.</summary>
internal sealed class RandomTemplates(int seed)
{
    private static readonly string[] Values =
    [
        "n", "f", "s", "yes", "no", "nil", "empty", "none_list", "list", "words", "emoji", "obj", "people", "x",
        "missing",
        "0", "1", "-2", "2.5", "'a'", "\"b c\"", "''", "true", "none", "[]", "{}", "loop.index", "ns.v", "obj.a",
        "people[0].name",
    ];

    private static readonly string[] Filters =
    [
        "trim", "upper", "lower", "title", "capitalize", "length", "string", "int", "float", "abs", "list", "reverse",
        "sort", "unique", "join", "join(', ')", "tojson", "tojson(indent=2)", "default('d')", "default('e', true)",
        "indent", "indent(2, true)", "replace('a', 'bb')", "map(attribute='name')", "selectattr('age')", "rejectattr('age')",
        "items", "int(3)", "safe", "dictsort", "sort(reverse=true)", "first", "last",
        "tojson(sort_keys=true, ensure_ascii=true)",
    ];

    private static readonly string[] Tests =
    [
        "defined", "undefined", "none", "string", "number", "integer", "mapping", "sequence", "iterable", "boolean",
        "true", "odd", "even", "lower", "upper", "callable", "not defined", "not none",
    ];

    private static readonly string[] Operators =
        ["+", "-", "*", "/", "//", "%", "**", "~", "==", "!=", "<", ">", "<=", ">=", "and", "or", "in", "not in"];

    private static readonly string[] Methods =
    [
        ".strip()", ".upper()", ".split()", ".split('a', 1)", ".startswith('a')", ".replace('l', '')", ".get('b')",
        ".items()", ".keys()", ".values()", ".length", ".title()", ".rstrip()", "[0]", "[-1]", "[1:]", "[::-1]", "[:-1]",
        ".b", "['a']", "[::2]",
    ];

    private readonly Random random = new(seed);

    /// <summary>Returns a template.</summary>
    public string Next()
    {
        var builder = new StringBuilder("{% set ns = namespace(v=1) %}");
        for (var i = random.Next(1, 4); i > 0; i--) Statement(builder, 3);
        return builder.ToString();
    }

    private void Statement(StringBuilder builder, int depth)
    {
        var choice = random.Next(depth > 0 ? 10 : 3);
        if (choice < 2) builder.Append(Open("{{")).Append(Expression(depth)).Append(Close("}}"));
        else if (choice == 2) builder.Append(Pick(["text", " ", "\n", "  \n ", "{", "}", "a\tb"]));
        else if (choice == 3) builder.Append(Open("{%")).Append($"set x = {Expression(depth)}").Append(Close("%}"));
        else if (choice == 4) builder.Append($"{{% set ns.v = {Expression(depth)} %}}");
        else if (choice < 7) If(builder, depth);
        else if (choice < 9) For(builder, depth);
        else Block(builder, depth);
    }

    private void If(StringBuilder builder, int depth)
    {
        builder.Append(Open("{%")).Append($"if {Expression(depth)}").Append(Close("%}"));
        Statement(builder, depth - 1);
        if (Chance(0.3)) builder.Append($"{{% elif {Expression(depth)} %}}B");
        if (Chance(0.5)) builder.Append(Open("{%")).Append("else").Append(Close("%}")).Append('C');
        builder.Append(Open("{%")).Append("endif").Append(Close("%}"));
    }

    private void For(StringBuilder builder, int depth)
    {
        var items = Pick(
            ["list", "words", "people", "obj", "[1, 2]", "none_list", "s.split()", "range(3)", "obj | dictsort"]);
        builder.Append($"{{% for x in {items}{(Chance(0.3) ? $" if {Expression(1)}" : "")} %}}");
        Statement(builder, depth - 1);
        if (Chance(0.2))
            builder.Append($"{{% if {Expression(1)} %}}{{% {Pick(["break", "continue"])} %}}{{% endif %}}");
        if (Chance(0.3)) builder.Append("{% else %}E");
        builder.Append("{% endfor %}");
    }

    private void Block(StringBuilder builder, int depth)
    {
        switch (random.Next(4))
        {
            case 0:
                builder.Append($"{{% macro m(a, b={Expression(1)}) %}}{{{{ a }}}}");
                Statement(builder, depth - 1);
                builder.Append($"{{{{ b }}}}{{% endmacro %}}{{{{ m({Expression(1)}");
                builder.Append(Chance(0.5) ? ", b=2) }}" : ") }}");
                break;
            case 1:
                builder.Append("{% set x %}");
                Statement(builder, depth - 1);
                builder.Append("{% endset %}{{ x }}");
                break;
            case 2:
                builder.Append("{% macro c() %}<{{ caller() }}>{% endmacro %}{% call c() %}");
                Statement(builder, depth - 1);
                builder.Append("{% endcall %}");
                break;
            default:
                builder.Append($"{{% filter {Pick(["upper", "trim", "indent", "replace('a', 'X')"])} %}}");
                Statement(builder, depth - 1);
                builder.Append("{% endfilter %}");
                break;
        }
    }

    private string Expression(int depth)
    {
        if (depth <= 0 || Chance(0.3)) return Pick(Values);
        return random.Next(9) switch
        {
            0 or 1 => $"{Expression(depth - 1)} | {Pick(Filters)}",
            2 => $"({Expression(depth - 1)}){Pick(Methods)}",
            3 => $"{Pick(Values)} is {Pick(Tests)}",
            4 or 5 => $"({Expression(depth - 1)} {Pick(Operators)} {Expression(depth - 1)})",
            6 => $"({Expression(depth - 1)} if {Expression(depth - 1)} else {Expression(depth - 1)})",
            7 => $"[{Expression(depth - 1)}, {Expression(depth - 1)}]",
            _ => $"not {Expression(depth - 1)}",
        };
    }

    private string Open(string tag) => tag + (Chance(0.2) ? "- " : " ");

    private string Close(string tag) => (Chance(0.2) ? " -" : " ") + tag;

    private string Pick(string[] from) => from[random.Next(from.Length)];

    private bool Chance(double probability) => random.NextDouble() < probability;
}
