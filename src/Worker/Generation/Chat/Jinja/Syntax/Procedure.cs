namespace Sluice.Worker.Generation.Chat.Jinja.Syntax;

/// <summary>What a macro or a call block executes.</summary>
/// <param name="Parameters">The parameters.</param>
/// <param name="Body">The statements.</param>
/// <param name="UsesVarargs">Whether the body uses <c>varargs</c>: more arguments than parameters.</param>
/// <param name="UsesKwargs">Whether the body uses <c>kwargs</c>: arguments with any name.</param>
internal sealed record Procedure(
    IReadOnlyList<Parameter> Parameters,
    IReadOnlyList<Statement> Body,
    bool UsesVarargs,
    bool UsesKwargs);
