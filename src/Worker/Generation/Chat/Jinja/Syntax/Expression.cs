namespace Sluice.Worker.Generation.Chat.Jinja.Syntax;

/// <summary>An expression of a template.</summary>
internal abstract record Expression
{
    /// <summary>A number.</summary>
    public sealed record Number(double Value, bool IsFloat) : Expression;

    /// <summary>A string.</summary>
    public sealed record Text(string Value) : Expression;

    /// <summary>A variable.</summary>
    public sealed record Name(string Value) : Expression;

    /// <summary>A list in brackets, or a tuple.</summary>
    public sealed record List(IReadOnlyList<Expression> Items, bool IsTuple) : Expression;

    /// <summary>An object in braces.</summary>
    public sealed record Mapping(IReadOnlyList<KeyValuePair<Expression, Expression>> Entries) : Expression;

    /// <summary>An attribute (<c>a.b</c>) or an item (<c>a[b]</c>).</summary>
    public sealed record Member(Expression Owner, Expression Property, bool IsComputed) : Expression;

    /// <summary>A part of a list or a string, <c>start:stop:step</c>.</summary>
    public sealed record Slice(Expression? Start, Expression? Stop, Expression? Step) : Expression;

    /// <summary>A call.</summary>
    public sealed record Call(Expression Callee, IReadOnlyList<Argument> Arguments) : Expression;

    /// <summary><c>not</c> or a sign.</summary>
    public sealed record Unary(string Operator, Expression Operand) : Expression;

    /// <summary>An operator with two operands.</summary>
    public sealed record Binary(string Operator, Expression Left, Expression Right) : Expression;

    /// <summary>A filter, <c>operand | filter(arguments)</c>.</summary>
    public sealed record Filter(Expression Operand, FilterCall Function) : Expression;

    /// <summary>A test, <c>operand is test</c>.</summary>
    public sealed record Test(Expression Operand, bool IsNegated, string TestName) : Expression;

    /// <summary><c>value if condition else other</c>; without <c>else</c>, the value or undefined.</summary>
    public sealed record Conditional(Expression Condition, Expression Value, Expression? Other) : Expression;
}
