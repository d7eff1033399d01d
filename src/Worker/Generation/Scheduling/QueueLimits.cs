using Sluice.Worker.Tensors;

namespace Sluice.Worker.Generation.Scheduling;

/// <summary>
/// Limits of the texts that wait. They bound the memory of the queue: a waiting text has the tokens of its prompt, and
/// some objects of a fixed size.
/// </summary>
/// <param name="MaxTexts">Maximum number of waiting texts, at least 1.</param>
/// <param name="MaxTokens">Maximum number of tokens of their prompts. One text may always wait.</param>
public sealed record QueueLimits(int MaxTexts, long MaxTokens)
{
    /// <summary>Rejects a text for which the queue has no room. Pure.</summary>
    /// <param name="waiting">Number of texts that wait.</param>
    /// <param name="tokens">Number of tokens of their prompts.</param>
    /// <param name="prompt">Number of tokens of the prompt of the text; 0: not known yet.</param>
    /// <exception cref="InvalidRequestException">503: the queue is full. The message names the limit.</exception>
    public void Check(int waiting, long tokens, int prompt)
    {
        if (waiting >= MaxTexts)
            throw InvalidRequestException.QueueFull(
                $"{waiting} requests wait already; expected fewer than {MaxTexts} (SLUICE_MAX_QUEUE). Retry later.");
        if (waiting > 0 && tokens + prompt > MaxTokens)
            throw InvalidRequestException.QueueFull(
                $"{waiting} requests with {tokens} tokens wait already, and this prompt has {prompt} tokens; expected "
                + $"at most {MaxTokens} tokens together (SLUICE_MAX_QUEUE_TOKENS). Retry later.");
    }
}
