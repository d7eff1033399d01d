using System.Text.Json;
using Sluice.Worker.Generation.Constraints.Grammars;
using Sluice.Worker.Generation.Constraints.Masks;
using Sluice.Worker.Generation.Constraints.Schemas;
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
