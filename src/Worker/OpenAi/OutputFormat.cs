using System.Runtime.CompilerServices;
using System.Text.Json;
using Sluice.Worker.Generation;
using Sluice.Worker.Generation.Constraints;
using Sluice.Worker.Generation.Constraints.Grammars;

namespace Sluice.Worker.OpenAi;

/// <summary>Reads <c>response_format</c>: <c>text</c>, <c>json_object</c> or <c>json_schema</c>.</summary>
internal static class OutputFormat
{
    private const string Field = "response_format";

    /// <summary>The compiled schemas of each model.</summary>
    private static readonly ConditionalWeakTable<TextGenerator, StructuredOutput> Compilers = [];

    /// <summary>Returns what the texts must be; null: anything.</summary>
    /// <exception cref="OpenAiException">400: the format is unknown, or its schema is not supported.</exception>
    public static OutputConstraint? Read(RequestFields fields, TextGenerator generator)
    {
        if (fields.Object(Field) is not { } format) return null;
        var compiler = CompilerOf(generator);
        try
        {
            return format.RequiredText("type") switch
            {
                "text" => null,
                "json_object" => compiler.CompileJsonObject(),
                "json_schema" => compiler.CompileSchema(ReadSchema(format), $"{Field}.json_schema.schema"),
                var other => throw new OpenAiException(
                    $"'{Field}.type' is '{other}'; expected text, json_object or json_schema.", $"{Field}.type"),
            };
        }
        catch (ConstraintException e)
        {
            throw new OpenAiException(e.Message, Field);
        }
    }

    /// <summary>Returns the compiler of a model.</summary>
    public static StructuredOutput CompilerOf(TextGenerator generator) =>
        Compilers.GetValue(generator, g => new StructuredOutput(g.Tokenizer));

    private static JsonElement ReadSchema(RequestFields format) =>
        format.Object("json_schema")?.Find("schema") ?? throw new OpenAiException(
            $"'{Field}.json_schema.schema' is missing; expected a JSON schema.", $"{Field}.json_schema.schema");
}
