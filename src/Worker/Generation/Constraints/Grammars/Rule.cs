namespace Sluice.Worker.Generation.Constraints.Grammars;

/// <summary>A rule: the states from its start accept a part of a text.</summary>
/// <param name="Start">The first state.</param>
/// <param name="IsContainer">Whether it is a JSON object or array, whose nesting is limited.</param>
internal readonly record struct Rule(int Start, bool IsContainer);
