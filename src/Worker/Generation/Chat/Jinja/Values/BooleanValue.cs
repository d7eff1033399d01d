namespace Sluice.Worker.Generation.Chat.Jinja.Values;

/// <summary><c>true</c> or <c>false</c>.</summary>
internal sealed class BooleanValue : Value
{
    private static readonly BooleanValue True = new(true);
    private static readonly BooleanValue False = new(false);

    private BooleanValue(bool isTrue) => IsTrue = isTrue;

    public override string TypeName => "boolean";

    public override bool IsTrue { get; }

    /// <summary>Returns the value.</summary>
    public static BooleanValue From(bool value) => value ? True : False;
}
