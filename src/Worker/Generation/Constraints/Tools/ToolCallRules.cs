using System.Text;
using Sluice.Worker.Generation.Chat.ToolCalls;
using Sluice.Worker.Generation.Constraints.Grammars;
using Sluice.Worker.Generation.Constraints.Schemas;
using Sluice.Worker.Generation.Tokenization;

namespace Sluice.Worker.Generation.Constraints.Tools;

/// <summary>Adds rules for answers that call tools, in the format of a model.</summary>
/// <param name="grammar">The grammar.</param>
/// <param name="tokenizer">The tokenizer, which knows the special tokens of the format.</param>
/// <param name="format">The format.</param>
internal sealed class ToolCallRules(GrammarBuilder grammar, ITokenizer tokenizer, ToolCallFormat format)
{
    /// <summary>Adds a rule for answers with a call of one of some tools.</summary>
    /// <param name="tools">The tools.</param>
    /// <param name="allowsSeveral">Whether there may be several calls, if the format has them.</param>
    /// <param name="allowsReasoning">Whether text of the model's thinking may be before the calls.</param>
    public int Add(IReadOnlyList<ToolDefinition> tools, bool allowsSeveral, bool allowsReasoning)
    {
        var rule = grammar.AddRule();
        var start = allowsReasoning ? AddReasoning(grammar.Start(rule)) : grammar.Start(rule);
        if (format == ToolCallFormat.DeepSeek) start = AddMarker(start, "<｜tool▁calls▁begin｜>");
        var call = grammar.AddRule();
        foreach (var tool in tools) AddCall(grammar.Start(call), tool, grammar.End(call));
        var after = grammar.AfterCall(start, call);
        if (allowsSeveral && format is ToolCallFormat.Hermes or ToolCallFormat.DeepSeek)
            grammar.AddBytes(after, '\n', '\n', start);
        if (format == ToolCallFormat.DeepSeek) after = AddMarker(after, "<｜tool▁calls▁end｜>");
        grammar.AddEmpty(after, grammar.End(rule));
        return rule;
    }

    private void AddCall(int from, ToolDefinition tool, int to)
    {
        switch (format)
        {
            case ToolCallFormat.Hermes:
                var open = AddText(AddMarker(from, "<tool_call>"), $"\n{{\"name\": \"{tool.Name}\", \"arguments\": ");
                var close = AddText(grammar.AfterCall(open, AddArguments(tool)), "}\n");
                grammar.AddEmpty(AddMarker(close, "</tool_call>"), to);
                break;
            case ToolCallFormat.DeepSeek:
                var kind = AddText(AddMarker(from, "<｜tool▁call▁begin｜>"), "function");
                var name = AddMarker(kind, "<｜tool▁sep｜>");
                var fence = AddText(name, $"{tool.Name}\n```json\n");
                var end = AddText(grammar.AfterCall(fence, AddArguments(tool)), "\n```");
                grammar.AddEmpty(AddMarker(end, "<｜tool▁call▁end｜>"), to);
                break;
            case ToolCallFormat.Harmony:
                var recipient = AddText(AddMarker(from, "<|channel|>"), $"commentary to=functions.{tool.Name} ");
                var type = AddText(AddMarker(recipient, "<|constrain|>"), "json");
                grammar.AddCall(AddMarker(type, "<|message|>"), AddArguments(tool), to);
                break;
            default:
                var start = AddText(from, $"{{\"name\": \"{tool.Name}\", \"parameters\": ");
                grammar.AddEmpty(AddText(grammar.AfterCall(start, AddArguments(tool)), "}"), to);
                break;
        }
    }

    private int AddArguments(ToolDefinition tool)
    {
        if (tool.Parameters is not { } parameters) return grammar.Json.Object;
        try
        {
            return new SchemaCompiler(grammar, parameters, tool.Path).Compile();
        }
        catch (ConstraintException) when (!tool.IsStrict)
        {
            // The arguments of other tools are only a hint for the model.
            return grammar.Json.Object;
        }
    }

    // The thinking is optional. It is any text up to the marker of its end.
    private int AddReasoning(int from)
    {
        var (open, close) = format switch
        {
            ToolCallFormat.Harmony => ((string[])["<|channel|>", "analysis", "<|message|>"],
                (string[])["<|end|>", "<|start|>", "assistant"]),
            ToolCallFormat.Hermes or ToolCallFormat.DeepSeek => (["<think>", "\n"], ["</think>", "\n\n"]),
            _ => ([], []),
        };
        if (open.Length == 0) return from;
        var after = grammar.AddState();
        grammar.AddEmpty(from, after);
        var text = open.Aggregate(from, AddMarker);
        grammar.AddEmpty(close.Skip(1).Aggregate(AddTextTo(text, close[0]), AddMarker), after);
        return after;
    }

    private int AddText(int from, string text) => grammar.AddText(from, Encoding.UTF8.GetBytes(text));

    private int AddTextTo(int from, string marker)
    {
        if (FindSpecial(marker) is null) return grammar.Json.AddTextTo(from, marker);
        grammar.Json.AddText(from);
        return AddMarker(from, marker);
    }

    // A special token has no bytes. In other vocabularies, the marker is text.
    private int AddMarker(int from, string marker)
    {
        if (FindSpecial(marker) is not { } token) return AddText(from, marker);
        var next = grammar.AddState();
        grammar.AddToken(from, token, next);
        return next;
    }

    private int? FindSpecial(string marker) =>
        tokenizer.EncodePrompt(marker) is [var token] && tokenizer.IsSpecial(token) ? token : null;
}
