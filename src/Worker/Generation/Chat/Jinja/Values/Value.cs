namespace Sluice.Worker.Generation.Chat.Jinja.Values;

/// <summary>A value during the evaluation of a template.</summary>
internal abstract class Value
{
    /// <summary>The name of the type, for errors.</summary>
    public abstract string TypeName { get; }

    /// <summary>Whether a condition with the value is true.</summary>
    public abstract bool IsTrue { get; }
}

/// <summary>A variable or an attribute that does not exist.</summary>
internal sealed class UndefinedValue : Value
{
    public static readonly UndefinedValue Instance = new();

    public override string TypeName => "undefined";

    public override bool IsTrue => false;
}

/// <summary><c>none</c>.</summary>
internal sealed class NullValue : Value
{
    public static readonly NullValue Instance = new();

    public override string TypeName => "none";

    public override bool IsTrue => false;
}
