namespace Sluice.Worker.Generation.Chat.Jinja.Values;

/// <summary>A string.</summary>
internal sealed class StringValue(string text) : Value
{
    public static readonly StringValue Empty = new("");

    /// <summary>The string.</summary>
    public string Text { get; } = text;

    public override string TypeName => "string";

    public override bool IsTrue => Text.Length > 0;
}
