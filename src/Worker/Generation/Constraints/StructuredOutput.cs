using System.Text.Json;
using Sluice.Worker.Generation.Chat.ToolCalls;
using Sluice.Worker.Generation.Constraints.Grammars;
using Sluice.Worker.Generation.Constraints.Masks;
using Sluice.Worker.Generation.Constraints.Schemas;
using Sluice.Worker.Generation.Constraints.Tools;
using Sluice.Worker.Generation.Tokenization;

namespace Sluice.Worker.Generation.Constraints;

/// <summary>Compiles what the output of one model must be. Compiled schemas are kept. Thread-safe.</summary>
/// <param name="tokenizer">The tokenizer of the model.</param>
public sealed class StructuredOutput(ITokenizer tokenizer)
{
    /// <summary>The length of a schema, in characters.</summary>
    public const int MaxSchemaLength = 256 * 1024;

    private const int MaxKept = 16;
    private readonly Lazy<ConstraintVocabulary> vocabulary = new(() => new ConstraintVocabulary(tokenizer));
    private readonly Lock guard = new();
    private readonly Dictionary<string, OutputConstraint> kept = [];

    /// <summary>Returns the constraint for any JSON object.</summary>
    public OutputConstraint CompileJsonObject() => Keep("object", builder => builder.Json.Object);

    /// <summary>Returns the constraint for the values of a JSON schema.</summary>
    /// <param name="schema">The schema.</param>
    /// <param name="path">Where the schema is in the request, for errors.</param>
    /// <exception cref="ConstraintException">The schema is not valid, too large or not supported.</exception>
    public OutputConstraint CompileSchema(JsonElement schema, string path)
    {
        var text = schema.GetRawText();
        if (text.Length > MaxSchemaLength)
            throw new ConstraintException($"{path} has {text.Length} characters; expected at most {MaxSchemaLength}.");
        return Keep("schema " + text, builder => new SchemaCompiler(builder, schema, path).Compile());
    }

    /// <summary>Returns the constraint for answers that call a tool: <c>tool_choice</c> required or named.</summary>
    /// <param name="format">The format of the model.</param>
    /// <param name="tools">The tools that may be called; one, if it is named.</param>
    /// <param name="allowsSeveral">Whether there may be several calls, if the format has them.</param>
    /// <param name="allowsReasoning">Whether the model may think before.</param>
    /// <exception cref="ConstraintException">
    /// There is no tool, or the schema of a strict tool is not valid, too large or not supported.
    /// </exception>
    public OutputConstraint CompileToolCalls(
        ToolCallFormat format, IReadOnlyList<ToolDefinition> tools, bool allowsSeveral, bool allowsReasoning)
    {
        if (tools.Count == 0) throw new ConstraintException("tool_choice needs a tool, and tools is empty.");
        var schemas = tools.Select(t => $"{t.Name} {t.IsStrict} {t.Parameters?.GetRawText()}");
        var text = string.Join('\n', schemas);
        if (text.Length > MaxSchemaLength)
            throw new ConstraintException($"tools has {text.Length} characters; expected at most {MaxSchemaLength}.");
        return Keep(
            $"tools {format} {allowsSeveral} {allowsReasoning} {text}",
            builder => new ToolCallRules(builder, tokenizer, format).Add(tools, allowsSeveral, allowsReasoning));
    }

    private OutputConstraint Keep(string key, Func<GrammarBuilder, int> compile)
    {
        lock (guard)
            if (kept.TryGetValue(key, out var constraint))
                return constraint;
        var builder = new GrammarBuilder();
        var grammar = builder.Build(compile(builder));
        var compiled = new OutputConstraint(new MaskSource(grammar, vocabulary.Value));
        lock (guard)
        {
            if (kept.Count >= MaxKept) kept.Clear();
            kept[key] = compiled;
        }

        return compiled;
    }
}
