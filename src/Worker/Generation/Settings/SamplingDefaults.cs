namespace Sluice.Worker.Generation.Settings;

/// <summary>
/// Sampling parameters that the publisher of a model recommends, in <c>generation_config.json</c> or in the section
/// <c>search</c> of <c>genai_config.json</c>. Null: no recommendation. They apply to requests of the OpenAI API that
/// name no value.
/// </summary>
/// <param name="Temperature">Sampling temperature; 0 if the model should not be sampled.</param>
/// <param name="TopP">Share of the probability of the tokens that are sampled.</param>
/// <param name="TopK">Number of tokens to sample from.</param>
/// <param name="MinP">Least probability, relative to the most likely token.</param>
/// <param name="RepetitionPenalty">Penalty of tokens that occurred already.</param>
public sealed record SamplingDefaults(
    double? Temperature = null,
    double? TopP = null,
    int? TopK = null,
    double? MinP = null,
    double? RepetitionPenalty = null);
