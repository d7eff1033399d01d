using System.Text.Json;
using Sluice.Worker.Generation.Chat;
using Sluice.Worker.Generation.Chat.Jinja;
using Sluice.Worker.Generation.Chat.Jinja.Evaluation;
using Sluice.Worker.Generation.Chat.Jinja.Values;

namespace Sluice.Worker.Tests.Generation.Chat;

/// <summary>Tests templates without the reference: features, errors, limits and hostile input.</summary>
public sealed class JinjaTest
{
    private static readonly TemplateLimits Small = new()
    {
        MaxSteps = 200_000,
        MaxCharacters = 4 << 20,
        MaxOutput = 1 << 20,
    };

    [Fact]
    public void Small_templates_write_what_they_should()
    {
        foreach (var (template, expected) in SmallTemplates.All)
            Assert.Equal((template, expected), (template, Render(template)));
    }

    [Theory]
    [InlineData("a\nb {{ x", "line 2, column 7: the template ends inside a tag")]
    [InlineData("{% if x %}\n\n  {% endfor %}", "line 3, column 6: found 'endfor', expected if, for, set")]
    [InlineData("{% if x %}", "line 1, column 11: the template ends, expected '{% endif %}'")]
    [InlineData("{% for x in y %}\n{{ x }}", "line 2, column 8: the template ends, expected '{% endfor %}'")]
    [InlineData("  {%- foo %}", "line 1, column 7: found 'foo', expected if, for, set")]
    [InlineData("{{ a b }}", "line 1, column 6: found 'b', expected '}}'")]
    [InlineData("{% set = 1 %}", "line 1, column 8: found '=', expected a value")]
    [InlineData("{{ 'a\\q' }}", "line 1, column 6: the escape '\\q' is not valid")]
    [InlineData("{{ x.'a' }}", "expected a name or an integer after '.'")]
    [InlineData("x\n{# no end", "line 2, column 1: the comment has no end")]
    [InlineData("{{ f(a=1, 2) }}", "arguments without a name must be before")]
    [InlineData("{% generation %}\n{{ 1 + }}{% endgeneration %}", "line 2, column 8: found '}}', expected a value")]
    public void A_syntax_error_names_the_line_the_column_and_what_was_expected(string template, string expected)
    {
        var error = Assert.Throws<TemplateException>(() => Render(template, rethrow: true));
        Assert.Equal(TemplateErrorKind.Syntax, error.Kind);
        Assert.Contains(expected, error.Message, StringComparison.OrdinalIgnoreCase);
    }

    [Fact]
    public void An_exception_of_the_template_has_its_text()
    {
        var error = Assert.Throws<TemplateException>(
            () => Render("{{ raise_exception('Only user messages!') }}", rethrow: true));
        Assert.Equal((TemplateErrorKind.Raised, "Only user messages!"), (error.Kind, error.Message));
    }

    [Theory]
    [InlineData("{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}")]
    [InlineData("{{ range(100000000000) }}")]
    [InlineData("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}")]
    [InlineData("{% set ns = namespace() %}{% set ns.a = ns %}{{ ns }}")]
    [InlineData(
        "{% set ns = namespace(s='aaaaaaaa') %}{% for i in range(99) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}")]
    [InlineData("{% set ns = namespace(s=[1]) %}{% for i in range(99) %}{% set ns.s = ns.s + ns.s %}{% endfor %}")]
    [InlineData(
        "{% set ns = namespace(s='a') %}{% for i in range(99) %}{% set ns.s = ns.s.replace('', 'aaaa') %}{% endfor %}")]
    [InlineData(

               "{% for i in range(9999) %}{{ [[[1]], range(1000) | list] | tojson(indent=64) | length }}{% endfor %}")]
    [InlineData(
        "{{ ('a' | indent(1000000)).split('a') }}{% for i in range(9999) %}{{ 'b\nb' | indent(999999) }}{% endfor %}")]
    [InlineData("{% for i in range(9999) %}{{ range(1000) | join(s) }}{% endfor %}")]
    public void A_template_that_wants_too_much_ends_at_a_limit(string template)
    {
        var error = Assert.Throws<TemplateException>(() => Render(template, rethrow: true));
        Assert.Equal(TemplateErrorKind.Limit, error.Kind);
    }

    [Theory]
    [InlineData("{{", "(", "1", ")", "}}")]
    [InlineData("{{", "[", "1", "]", "}}")]
    [InlineData("{{", "not ", "1", "", "}}")]
    [InlineData("{{", "- ", "1", "", "}}")]
    [InlineData("{{ x", ".a", "", "", "}}")]
    [InlineData("{{ x", "|safe", "", "", "}}")]
    [InlineData("{{ 1", " + 1", "", "", "}}")]
    [InlineData("{{ 1", " is odd", "", "", "}}")]
    [InlineData("{{ 1", " if 1 else 1", "", "", "}}")]
    [InlineData("{{ x", "(x", "", ")", "}}")]
    [InlineData("{{", "{'a':", "1", "}", "}}")]
    [InlineData("", "{% if 1 %}", "x", "{% endif %}", "")]
    [InlineData("", "{% for i in [1] %}", "x", "{% endfor %}", "")]
    [InlineData("", "{% set x %}", "x", "{% endset %}", "")]
    [InlineData("", "{% macro m() %}", "x", "{% endmacro %}", "")]
    [InlineData("{% if 0 %}", "{% elif 0 %}", "", "{% endif %}", "")]
    public void Deep_nesting_never_overflows_the_stack(
        string start, string open, string inner, string close, string end)
    {
        foreach (var depth in (int[])[10, 1000, 100_000])
        {
            // A chain of branches has one end.
            var ends = open.Contains("elif", StringComparison.Ordinal) ? 1 : depth;
            var template = start + string.Concat(Enumerable.Repeat(open, depth)) + inner +
                string.Concat(Enumerable.Repeat(close, ends)) + end;
            Exception? error = null;
            // The stack of a thread of the pool.
            var thread = new Thread(() => error = Record.Exception(() => Render(template, rethrow: true)), 1 << 20);
            thread.Start();
            thread.Join();
            Assert.True(error is null or TemplateException, error?.ToString());
        }
    }

    [Fact]
    public void The_limit_of_time_ends_a_template()
    {
        var clock = new AdvancingClock();
        var template = JinjaTemplate.Parse("{% for i in range(99999) %}{{ i }}{% endfor %}", TemplateLimits.Default);
        var error = Assert.Throws<TemplateException>(() => template.Render([], clock));
        Assert.Equal("The chat template takes longer than 5 s.", error.Message);
    }

    [Fact]
    public void Random_and_mutated_templates_throw_no_other_exception_and_end()
    {
        var templates = new RandomTemplates(7);
        var random = new Random(7);
        var parts = SmallTemplates.All.Select(t => t.Template).ToList();
        var rendered = 0;
        for (var i = 0; i < 8_000; i++)
        {
            var template = i % 2 == 0 ? templates.Next() : parts[random.Next(parts.Count)];
            for (var j = random.Next(4); j > 0; j--) template = Mutate(template, parts, random);
            if (Render(template) != "error") rendered++;
        }

        Assert.InRange(rendered, 1_000, 7_900);
    }

    private static string Mutate(string template, List<string> parts, Random random)
    {
        if (template.Length == 0) return template;
        var at = random.Next(template.Length);
        var other = parts[random.Next(parts.Count)];
        return random.Next(5) switch
        {
            0 => template.Remove(at, Math.Min(random.Next(1, 8), template.Length - at)),
            1 => template.Insert(at, "{}%#|.()[]'\"-+*\\\n ~,:=\uD83D\u0000é0a"[random.Next(27)].ToString()),
            2 => template[..at] + other[random.Next(other.Length)..],
            3 => template.Insert(at, template[at..Math.Min(template.Length, at + random.Next(30))]),
            _ => template[..at],
        };
    }

    private static string Render(string template, bool rethrow = false)
    {
        using var data = JsonDocument.Parse(SmallTemplates.Data);
        var values = new JsonValues(text => text);
        try
        {
            return JinjaTemplate.Parse(template, Small).Render(
                data.RootElement.EnumerateObject()
                    .Select(p => new KeyValuePair<string, Value>(p.Name, values.Convert(p.Value))),
                TimeProvider.System);
        }
        catch (TemplateException) when (!rethrow)
        {
            return "error";
        }
    }

    private sealed class AdvancingClock : TimeProvider
    {
        private long now;

        public override long TimestampFrequency => 1;

        public override long GetTimestamp() => now += 2;
    }
}
