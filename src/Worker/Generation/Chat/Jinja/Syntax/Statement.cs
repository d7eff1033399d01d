namespace Sluice.Worker.Generation.Chat.Jinja.Syntax;

/// <summary>A statement of a template.</summary>
internal abstract record Statement
{
    /// <summary>Text outside of tags.</summary>
    public sealed record Text(string Value) : Statement;

    /// <summary>An expression whose value is written.</summary>
    public sealed record Output(Expression Value) : Statement;

    /// <summary><c>if</c> with its <c>elif</c> branches, and what follows <c>else</c>.</summary>
    public sealed record If(IReadOnlyList<Branch> Branches, IReadOnlyList<Statement> Otherwise) : Statement;

    /// <summary><c>for</c>, with the condition after <c>if</c>, and what follows <c>else</c>.</summary>
    public sealed record For(
        Expression Variable,
        Expression Items,
        Expression? Condition,
        IReadOnlyList<Statement> Body,
        IReadOnlyList<Statement> Otherwise) : Statement;

    /// <summary><c>set</c> with a value, or with a block whose output is the value.</summary>
    public sealed record Set(Expression Target, Expression? Value, IReadOnlyList<Statement> Body) : Statement;

    /// <summary>The definition of a macro.</summary>
    public sealed record Macro(string Name, Procedure Procedure) : Statement;

    /// <summary><c>call</c>: calls a macro that may call the block as <c>caller</c>.</summary>
    public sealed record CallBlock(Expression.Call Call, Procedure Procedure) : Statement;

    /// <summary><c>filter</c>: writes the output of a block through a filter.</summary>
    public sealed record FilterBlock(FilterCall Function, IReadOnlyList<Statement> Body) : Statement;

    /// <summary><c>break</c> or <c>continue</c>.</summary>
    public sealed record Jump(bool IsBreak) : Statement;
}
