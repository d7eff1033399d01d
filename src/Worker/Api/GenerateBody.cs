using Sluice.Worker.Generation;

namespace Sluice.Worker.Api;

/// <summary>
/// Response of the generate extension: the whole response, or one event of a stream. Finish reason, token counts and
/// details are only in the whole response and in the last event.
/// </summary>
/// <param name="Id">Id of the request.</param>
/// <param name="ModelName">Name of the model.</param>
/// <param name="ModelVersion">Version of the model.</param>
/// <param name="TextOutput">The text; in an event, the part of the text that the event adds.</param>
/// <param name="FinishReason">Why the generation ended: <c>stop</c> or <c>length</c>.</param>
/// <param name="TokensGenerated">Number of generated tokens.</param>
/// <param name="TokensPrompt">Number of tokens of the prompt.</param>
/// <param name="Details">If the request has <c>details</c>: the finish reason and the tokens.</param>
/// <param name="Token">If the request has <c>details</c>, in an event that is not the last one: the token.</param>
public sealed record GenerateBody(
    string? Id,
    string ModelName,
    string ModelVersion,
    string TextOutput,
    string? FinishReason,
    int? TokensGenerated,
    int? TokensPrompt,
    GenerateDetails? Details = null,
    GeneratedToken? Token = null);

/// <summary>
/// The objects <c>Details</c> (in a whole response) and <c>StreamDetails</c> (in the last event) of the Open Inference
/// Protocol: generate_rest.yaml.
/// </summary>
/// <param name="FinishReason"><c>length</c>, <c>eos_token</c> or <c>stop_sequence</c>.</param>
/// <param name="Logprobs">All tokens; null in an event.</param>
/// <param name="Token">The last token; null in a whole response.</param>
public sealed record GenerateDetails(
    string FinishReason,
    IReadOnlyList<GeneratedToken>? Logprobs,
    GeneratedToken? Token);
