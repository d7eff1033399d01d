namespace Sluice.Worker.Generation.Chat.Jinja.Syntax;

/// <summary>A parameter of a macro and its default.</summary>
internal sealed record Parameter(string Name, Expression? Default);
