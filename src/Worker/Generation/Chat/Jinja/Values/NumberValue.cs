namespace Sluice.Worker.Generation.Chat.Jinja.Values;

/// <summary>A number. As in the reference, integers are doubles too.</summary>
internal sealed class NumberValue(double value, bool isFloat) : Value
{
    /// <summary>The number.</summary>
    public double Number { get; } = value;

    /// <summary>Whether the type is float, not integer.</summary>
    public bool IsFloat { get; } = isFloat;

    public override string TypeName => IsFloat ? "float" : "integer";

    public override bool IsTrue => Number != 0 && !double.IsNaN(Number);

    /// <summary>Returns an integer.</summary>
    public static NumberValue Integer(double value) => new(value, false);

    /// <summary>Returns a float.</summary>
    public static NumberValue Float(double value) => new(value, true);

    /// <summary>Returns an integer if the number has no fraction, otherwise a float.</summary>
    public static NumberValue From(double value) =>
        new(value, value != Math.Truncate(value) || !double.IsFinite(value));

    /// <summary>Returns the number of a number or a boolean; null for other values.</summary>
    public static double? Of(Value value) => value switch
    {
        NumberValue number => number.Number,
        BooleanValue boolean => boolean.IsTrue ? 1 : 0,
        _ => null,
    };
}
