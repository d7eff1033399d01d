namespace Sluice.Worker.Generation.Chat.Jinja.Syntax;

/// <summary>A condition of an <c>if</c> and its statements.</summary>
internal sealed record Branch(Expression Condition, IReadOnlyList<Statement> Body);
