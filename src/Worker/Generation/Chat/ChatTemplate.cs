using System.Text.Json;
using Sluice.Worker.Generation.Chat.Jinja;
using Sluice.Worker.Generation.Chat.Jinja.Evaluation;
using Sluice.Worker.Generation.Chat.Jinja.Values;

namespace Sluice.Worker.Generation.Chat;

/// <summary>The chat template of a model.</summary>
public sealed class ChatTemplate : IChatTemplate
{
    private readonly JinjaTemplate template;
    private readonly JinjaTemplate forTools;
    private readonly IReadOnlyDictionary<string, string> tokenVariables;
    private readonly JsonValues values;
    private readonly MessageForms forms;
    private readonly TimeProvider clock;

    /// <param name="source">The templates of the model.</param>
    /// <param name="specialTokens">The special tokens of the model, which callers cannot write.</param>
    /// <param name="clock">The clock; null: the system's.</param>
    /// <param name="limits">What a template may use; null: the limits of the worker.</param>
    /// <exception cref="TemplateException">A template is not valid.</exception>
    public ChatTemplate(
        ChatTemplateSource source,
        IEnumerable<string> specialTokens,
        TimeProvider? clock = null,
        TemplateLimits? limits = null)
    {
        limits ??= TemplateLimits.Default;
        this.clock = clock ?? TimeProvider.System;
        template = JinjaTemplate.Parse(source.Default, limits);
        forTools = source.ForTools is null ? template : JinjaTemplate.Parse(source.ForTools, limits);
        tokenVariables = source.TokenVariables;
        values = new JsonValues(new CallerText(specialTokens).Protect);
        forms = new MessageForms(
            TemplateCapabilities.Probe(messages => RenderUnchanged(new Conversation(messages))),
            source.Default.Contains("developer", StringComparison.Ordinal));
    }

    public string Render(Conversation conversation)
    {
        try
        {
            return RenderUnchanged(conversation with { Messages = forms.Convert(conversation.Messages) });
        }
        catch (Exception e) when (e is InvalidOperationException or JsonException)
        {
            // JSON can escape half of a surrogate pair, which no string can have.
            throw TemplateException.Evaluation("The messages or tools contain a string that is not valid Unicode.");
        }
    }

    /// <summary>Renders messages in the form in which they are given.</summary>
    internal string RenderUnchanged(Conversation conversation)
    {
        var variables = new Dictionary<string, Value>();
        foreach (var (name, token) in tokenVariables) variables[name] = new StringValue(token);
        foreach (var (name, value) in conversation.Variables) variables[name] = values.Convert(value);
        variables["messages"] = values.Convert(conversation.Messages);
        variables["tools"] = conversation.Tools is { } tools ? values.Convert(tools) : NullValue.Instance;
        variables["add_generation_prompt"] = BooleanValue.From(conversation.AddGenerationPrompt);
        var chosen = conversation.Tools is null ? template : forTools;
        return chosen.Render(variables, clock, conversation.Time);
    }
}
