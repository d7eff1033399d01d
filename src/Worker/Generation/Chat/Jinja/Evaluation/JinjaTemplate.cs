using Sluice.Worker.Generation.Chat.Jinja.Syntax;
using Sluice.Worker.Generation.Chat.Jinja.Values;

namespace Sluice.Worker.Generation.Chat.Jinja.Evaluation;

/// <summary>
/// A parsed Jinja template. It has the part of Jinja that chat templates use, and writes exactly what
/// <c>@huggingface/jinja</c> 0.5 writes. Thread-safe.
/// </summary>
internal sealed class JinjaTemplate
{
    private readonly IReadOnlyList<Statement> statements;
    private readonly TemplateLimits limits;

    private JinjaTemplate(IReadOnlyList<Statement> statements, TemplateLimits limits)
    {
        this.statements = statements;
        this.limits = limits;
    }

    /// <summary>Parses a template.</summary>
    /// <param name="template">The source.</param>
    /// <param name="limits">What the template may use.</param>
    /// <exception cref="TemplateException">The template is not valid.</exception>
    public static JinjaTemplate Parse(string template, TemplateLimits limits) =>
        new(StatementParser.Parse(template, limits), limits);

    /// <summary>Returns the output of the template.</summary>
    /// <param name="variables">The variables.</param>
    /// <param name="clock">The clock for the limit of time.</param>
    /// <param name="now">The time for <c>strftime_now</c>; null: that of the clock.</param>
    /// <exception cref="TemplateException">The template fails, rejects the variables, or hits a limit.</exception>
    public string Render(
        IEnumerable<KeyValuePair<string, Value>> variables,
        TimeProvider clock,
        DateTimeOffset? now = null)
    {
        var budget = new EvaluationBudget(limits, clock);
        var scope = new Scope();
        new Globals(
            budget,
            now is { } time ? TimeZoneInfo.ConvertTime(time, clock.LocalTimeZone) : clock.GetLocalNow()).Declare(scope);
        foreach (var (name, value) in variables)
        {
            if (Globals.Names.Contains(name))
                throw TemplateException.Evaluation($"The variable '{name}' is a part of every template.");
            scope.Set(name, value);
        }

        return new TemplateRun(budget).Execute(statements, scope);
    }
}
