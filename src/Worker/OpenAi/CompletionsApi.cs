using System.Text.Json;
using Sluice.Worker.Generation;
using Sluice.Worker.Generation.Tokenization;
using Sluice.Worker.Http;
using Sluice.Worker.Serving;

namespace Sluice.Worker.OpenAi;

/// <summary>Implements <c>/v1/completions</c>.</summary>
internal sealed class CompletionsApi(TextApi texts)
{
    private const int MaxLogprobs = 20, DefaultTokens = 16;

    public void Map(Router routes) =>
        routes.MapPost("/v1/completions", context => texts.HandleAsync(context, Read));

    private TextRequest Read(RequestFields fields, LoadedModel model, string flow, StreamOrigin origin)
    {
        var generator = model.Generator!;
        if (fields.Text("suffix") is { Length: > 0 })
            throw new OpenAiException("'suffix' is not supported; expected no value.", "suffix");
        var logprobs = fields.Integer("logprobs", 0, MaxLogprobs);
        var options = CompletionOptions.Read(fields, generator, origin.Seed, (int?)logprobs, DefaultTokens);
        if (fields.Integer("best_of", 1, int.MaxValue) is { } best && best != options.Count)
            throw new OpenAiException($"'best_of' is '{best}'; expected the value of 'n', {options.Count}.", "best_of");
        var prompts = ReadPrompts(fields, generator, options.Count);
        var scope = CompletionOptions.Scope(fields, flow);
        var head = new ResponseHead($"cmpl-{origin.Id:N}", origin.Created, model.Name);
        var choices = prompts
            .SelectMany(p => Enumerable.Range(0, options.Count).Select(i => (p.Tokens, Number: i)))
            .Select((c, i) => new Choice(i, options.For(c.Tokens, c.Number, scope)));
        var echoes = fields.Flag("echo")
            ? prompts.SelectMany(p => Enumerable.Repeat(p.Text, options.Count)).ToList()
            : [];
        return new TextRequest(options, [.. choices],
            new CompletionFormat(head, options, new LogprobsWriter(generator.Tokenizer), echoes));
    }

    /// <summary>Reads the prompts: a text, a list of tokens, or a list of several of them.</summary>
    private static List<(int[] Tokens, string Text)> ReadPrompts(
        RequestFields fields,
        TextGenerator generator,
        int count)
    {
        var tokenizer = generator.Tokenizer;
        if (fields.Find("prompt") is not { } value)
            throw new OpenAiException(
                "'prompt' is missing; expected a string, or a list of strings or tokens.", "prompt");
        var isTokens = value.ValueKind == JsonValueKind.Array && value.GetArrayLength() > 0
            && value[0].ValueKind == JsonValueKind.Number;
        var list = value.ValueKind == JsonValueKind.Array && !isTokens ? [.. value.EnumerateArray()] : new[] { value };
        var most = CompletionOptions.MaxCount / count;
        if (list.Length == 0 || list.Length > most)
            throw fields.Invalid(
                "prompt", value, $"1 to {most} prompts: a request has at most {CompletionOptions.MaxCount} texts");
        return [.. list.Select(p => p.ValueKind == JsonValueKind.String
            ? Encode(p.GetString()!)
            : ReadTokens(fields, p, tokenizer))];

        (int[] Tokens, string Text) Encode(string text)
        {
            generator.CheckSize(text);
            return (tokenizer.Encode(text), text);
        }
    }

    private static (int[] Tokens, string Text) ReadTokens(
        RequestFields fields,
        JsonElement value,
        ITokenizer tokenizer)
    {
        var isValid = value.ValueKind == JsonValueKind.Array && value.GetArrayLength() > 0
            && value.EnumerateArray().All(t => t.ValueKind == JsonValueKind.Number
                && t.TryGetInt32(out var token) && token >= 0 && token < tokenizer.VocabularySize);
        if (!isValid)
            throw fields.Invalid(
                "prompt", value, $"strings, or lists of tokens from 0 to {tokenizer.VocabularySize - 1}");
        int[] tokens = [.. value.EnumerateArray().Select(t => t.GetInt32())];
        var decoder = tokenizer.CreateDecoder();
        return (tokens, string.Concat(tokens.Select(decoder.Push)) + decoder.Finish());
    }
}
