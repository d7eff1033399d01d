namespace Sluice.Worker.Tests.Generation.Chat;

/// <summary>Templates of one or two features, and what they write.</summary>
internal static class SmallTemplates
{
    /// <summary>The variables of the templates.</summary>
    public const string Data = """
        {
          "n": 3, "f": 1.5, "s": "Hello  World\n", "yes": true, "no": false, "nil": null, "empty": "", "none_list": [],
          "list": [3, "b", 1, "a", 3], "words": ["b", "A", "c"], "emoji": "a👍b",
          "obj": {"b": 1, "a": [1, {"x": "é\u0001"}], "C": null},
          "people": [{"name": "Zoe", "age": 3}, {"name": "al", "age": 20}, {"name": "Bo"}]
        }
        """;

    /// <summary>Templates and their output.</summary>
    public static IReadOnlyList<(string Template, string Text)> All { get; } =
    [
        ("plain", "plain"),
        ("one newline is removed\n\n", "one newline is removed\n"),
        ("{{ n }}|{{ f }}|{{ 2.0 }}|{{ 7 // 2 }}|{{ 7 / 2 }}|{{ 4 / 2 }}|{{ -7 // 2 }}|{{ -7 % 3 }}|{{ 2 ** 10 }}",
            "3|1.5|2.0|3|3.5|2.0|-4|-1|1024"),
        ("{{ 1e3 if false }}{{ 0.1 + 0.2 }}|{{ 1 / 3 }}|{{ 10 ** 21 }}|{{ 10 ** -7 }}|{{ 123456789012345680000 }}",
            "error"),
        ("{{ 0.1 + 0.2 }}|{{ 1 / 3 }}|{{ 10 ** 21 }}|{{ 10 ** -7 }}|{{ 123456789012345680000 }}|{{ 1.5e0 if no }}",
            "error"),
        ("{{ 0.1 + 0.2 }}|{{ 1 / 3 }}|{{ 10 ** 21 }}|{{ 10 ** -7 }}|{{ 123456789012345680000 }}|{{ 0.00012 }}",
            "0.30000000000000004|0.3333333333333333|1e+21|1e-7|123456789012345680000|0.00012"),
        ("{{ 'a' ~ 1 ~ 2.0 ~ true }}|{{ 'a' + 1 }}|{{ [1] + ['b'] }}|{{ 'x' ~ [1, [2, none]] }}",
            "a12true|a1|[1, \"b\"]|x1,[2, null]"),
        ("{{ obj }}|{{ obj | tojson }}|{{ [] }}|{{ {} | tojson(indent=2) }}",
            "{\"b\": 1, \"a\": [1, {\"x\": \"é\\u0001\"}], \"C\": null}|" +
            "{\"b\": 1, \"a\": [1, {\"x\": \"é\\u0001\"}], \"C\": null}|[]|{}"),
        ("{{ obj | tojson(indent=2) }}",
            "{\n  \"b\": 1,\n  \"a\": [\n    1,\n    {\n      \"x\": \"é\\u0001\"\n    }\n  ],\n  \"C\": null\n}"),
        ("{{ obj | tojson(ensure_ascii=true, sort_keys=true, separators=(',', ':')) }}",
            "{\"a\":[1,{\"x\":\"\\u00e9\\u0001\"}],\"b\":1,\"C\":null}"),
        ("{{ list[1:] }}|{{ list[::-1] }}|{{ list[-2] }}|{{ emoji[::-1] }}|{{ emoji | length }}|{{ list[9] }}",
            "[\"b\", 1, \"a\", 3]|[3, \"a\", 1, \"b\", 3]|a|b👍a|4|"),
        ("{{ s.strip() }}|{{ s.split() }}|{{ 'a,b,,c'.split(',', 1) }}|{{ ' a  b c '.split(none, 1) }}",
            "Hello  World|[\"Hello\", \"World\"]|[\"a\", \"b,,c\"]|[\"a\", \"b c \"]"),
        ("{{ 'aXbXc'.replace('X', '--', 1) }}|{{ 'ab' | replace('', '.') }}|{{ s.upper() | trim }}|{{ 'ß' | upper }}",
            "a--bXc|.a.b.|HELLO  WORLD|SS"),
        ("{{ 'hello wOrld' | title }}|{{ 'hello' | capitalize }}|{{ 'a\\nb\\n\\nc' | indent(2) }}" +
         "|{{ 'x' | indent(2, true) }}",
            "Hello WOrld|Hello|a\n  b\n\n  c|  x"),
        ("{{ s.startswith('He') }}|{{ s.endswith(('x', '\\n')) }}|{{ 'ell' in s }}|{{ 'x' not in s }}|{{ 'b' in obj }}",
            "true|true|true|true|true"),
        ("{{ words | sort | join(',') }}|{{ words | sort(case_sensitive=true) | join }}|{{ list | unique | length }}",
            "A,b,c|Abc|4"),
        ("{{ people | map(attribute='name') | join('/') }}|{{ people | selectattr('age') | list | length }}" +
         "|{{ (people | rejectattr('name', 'eq', 'Zoe') | first).name }}", "Zoe/al/Bo|2|al"),
        ("{{ people | sort(attribute='name', reverse=true) | map(attribute='age', default=0) | join(' ') }}", "3 0 20"),
        ("{% for k, v in obj | dictsort %}{{ k }}={{ v }};{% endfor %}|{% for k in obj %}{{ k }}{% endfor %}",
            "a=[1, {\"x\": \"é\\u0001\"}];b=1;C=;|baC"),
        ("{% for x in list %}{{ loop.index }}{{ loop.last }}{{ x }}{% if not loop.last %}, {% endif %}{% endfor %}",
            "1false3, 2falseb, 3false1, 4falsea, 5true3"),
        ("{% for x in list if x is string %}{{ x }}{{ loop.length }}{% else %}none{% endfor %}" +
         "{% for x in none_list %}{% else %}none{% endfor %}", "b2a2none"),
        ("{% for x in list %}a{% if x == 1 %}{% break %}{% endif %}{{ x }}{% endfor %}", "a3ab"),
        ("{% for x in list %}{{ x }}{% if x == 'b' %}{% continue %}{% endif %}!{% endfor %}", "3!1!a!3!"),
        ("{% set x = 1 %}{% for i in list %}{% set x = i %}{% endfor %}{{ x }}", "1"),
        ("{% set ns = namespace(x=1) %}{% for i in list %}{% set ns.x = ns.x + 1 %}{% endfor %}{{ ns.x }}", "6"),
        ("{% set a, b = [1, 2] %}{{ a + b }}|{% set t %}  in {{ n }}{% endset %}{{ t | trim }}", "3|in 3"),
        ("{% macro m(a, b=2) %}{{ a }}{{ b }}{{ varargs }}{{ kwargs }}{% endmacro %}{{ m(1) }}|{{ m(1, 3, 4, c=5) }}",
            "12[]{}|13[4]{\"c\": 5}"),
        ("{% macro m(x) %}<{{ caller(x) }}>{% endmacro %}{% call(y) m(3) %}{{ y * 2 }}{% endcall %}", "<6>"),
        ("{% filter upper %}abc{{ s | trim }}{% endfilter %}", "ABCHELLO  WORLD"),
        ("{{ nil is none }}{{ missing is defined }}{{ missing.x.y is undefined }}{{ n is odd }}{{ obj is mapping }}",
            "truefalsetruetruetrue"),
        ("{{ missing | default('d') }}|{{ empty | default('d') }}|{{ empty | default('d', true) }}|{{ nil or 'x' }}",
            "d||d|x"),
        ("{{ '3' == 3 }}{{ true == 1 }}{{ nil == missing }}{{ 'a' == 'A' }}{{ [] == [] }}", "truetruetruefalsefalse"),
        ("{{ 'x' if yes else 'y' }}{{ 'x' if no }}{{ not no and yes or fail }}", "xtrue"),
        ("{{ obj.get('b') }}{{ obj.get('z', 9) }}{{ obj.keys() | list }}{{ obj['b'] }}{{ obj.items() | length }}",
            "19[\"b\", \"a\", \"C\"]13"),
        ("{{ '12px' | int }}|{{ 'x' | int(7) }}|{{ '1.5e2x' | float }}|{{ 3.7 | int }}|{{ -2 | abs }}|{{ yes | int }}",
            "12|7|150.0|3|2|1"),
        ("{{ range(3) | list }}{{ range(5, 0, -2) | join }}", "[0, 1, 2]531"),
        ("a  {%- if yes -%}  b  {%- endif -%}  c\n  {# comment #}\nd {{- n -}} e", "abc\nd3e"),
        ("  {% if yes %}\n  x\n  {% endif %}\ny\n", "  x\ny"),
        ("a {%- generation -%} b {% endgeneration %} c", "ab  c"),
        ("{{ {'a': {'b': 1}}['a']['b'] }}{{ {'a': 1}.a }}{{ (1, 2)[1] }}{{ '\\u0041\\x42\\n' }}", "112AB\n"),
        ("{{ 'a' 'b' }}{{ [1 2] }}{{ list.0 }}{{ -n }}{{ - n }}{{ 1 - -1 }}", "ab[1, 2]3-3-32"),
        ("{{ raise_exception('no') }}", "error"),
        ("{{ none + 1 }}", "error"),
        ("{{ missing() }}", "error"),
        ("{{ 1 < 'a' }}", "error"),
        ("{{ nil | length }}", "error"),
    ];
}
