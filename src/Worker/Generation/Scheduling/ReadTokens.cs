namespace Sluice.Worker.Generation.Scheduling;

/// <summary>Numbers of tokens of prompts that a step reads.</summary>
/// <param name="All">Tokens of all prompts, at least 1.</param>
/// <param name="Part">
/// Tokens of a prompt that is not read to its end, at most <paramref name="All"/>. Many short prompts can be urgent,
/// but a part of a long one brings no first token, so it must not delay the others as much.
/// </param>
public readonly record struct ReadTokens(int All, int Part);
