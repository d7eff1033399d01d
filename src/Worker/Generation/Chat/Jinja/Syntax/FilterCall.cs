namespace Sluice.Worker.Generation.Chat.Jinja.Syntax;

/// <summary>
/// A filter with its arguments; null if it has no parentheses, which selects other rules in the reference.
/// </summary>
internal sealed record FilterCall(string Name, IReadOnlyList<Argument>? Arguments);
