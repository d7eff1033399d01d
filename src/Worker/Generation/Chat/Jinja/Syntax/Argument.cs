namespace Sluice.Worker.Generation.Chat.Jinja.Syntax;

/// <summary>An argument of a call.</summary>
internal sealed record Argument(ArgumentKind Kind, string Name, Expression Value);
