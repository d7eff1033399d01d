namespace Sluice.Worker.Generation.Chat.Jinja.Values;

/// <summary>A list or a tuple.</summary>
internal sealed class ListValue(IReadOnlyList<Value> items, bool isTuple = false) : Value
{
    /// <summary>The elements.</summary>
    public IReadOnlyList<Value> Items { get; } = items;

    /// <summary>Whether it is a tuple. The reference cannot unpack a tuple, or convert it to JSON.</summary>
    public bool IsTuple { get; } = isTuple;

    public override string TypeName => IsTuple ? "tuple" : "list";

    public override bool IsTrue => Items.Count > 0;
}
