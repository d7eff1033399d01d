using System.Runtime.InteropServices;
using Sluice.Worker.Generation.Tokenization;

namespace Sluice.Worker.Generation;

/// <summary>Selects the tokens of one sequence: processors change the logits, then a token is sampled.</summary>
internal sealed class TokenSampling
{
    private readonly GenerationRequest request;
    private readonly ITokenizer tokenizer;
    private readonly Sampler sampler;
    private readonly List<ILogitsProcessor> processors = [];
    private readonly List<int> generated = [];
    private float[] changed = [];

    /// <param name="request">The parameters.</param>
    /// <param name="prompt">The tokens of the prompt.</param>
    /// <param name="tokenizer">The tokenizer of the model.</param>
    public TokenSampling(GenerationRequest request, IReadOnlyList<int> prompt, ITokenizer tokenizer)
    {
        this.request = request;
        this.tokenizer = tokenizer;
        sampler = new Sampler(request.Temperature, request.Seed, request.TopK, request.TopP, request.MinP);
        // The order of vLLM: biases and minimum length, then penalties.
        if (request.LogitBias.Count > 0) processors.Add(new LogitBias(request.LogitBias));
        if (request.MinTokens > 0) processors.Add(new MinTokens(request.MinTokens, tokenizer.EndTokens));
        if (request is not { RepetitionPenalty: 1, PresencePenalty: 0, FrequencyPenalty: 0 })
            processors.Add(new Penalties(
                prompt,
                request.RepetitionPenalty,
                request.PresencePenalty,
                request.FrequencyPenalty));
        if (request.Constraint is { } constraint) processors.Add(constraint);
        sampler.Skip(request.Emitted.Count);
        // The processors read all tokens since their last call.
        if (processors.Count > 0) generated.AddRange(request.Emitted);
    }

    /// <summary>Returns whether a token ends the text.</summary>
    public bool IsEnd(int token) => tokenizer.IsEnd(token) && !request.IgnoreEos;

    /// <summary>Samples a token. The details have the probability of the logits as the model computed them.</summary>
    public (int Token, GeneratedToken? Detail) Next(ReadOnlySpan<float> logits)
    {
        var token = sampler.Next(Process(logits));
        var detail = request.Details
            ? GeneratedToken.Create(
                token, tokenizer.TextOf(token), logits, IsEnd(token), request.TopLogprobs)
            : null;
        if (processors.Count > 0) generated.Add(token);
        return (token, detail);
    }

    private ReadOnlySpan<float> Process(ReadOnlySpan<float> logits)
    {
        if (processors.Count == 0) return logits;
        if (changed.Length == 0) changed = new float[logits.Length];
        logits.CopyTo(changed);
        foreach (var processor in processors) processor.Process(changed, CollectionsMarshal.AsSpan(generated));
        return changed;
    }
}
