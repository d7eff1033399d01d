namespace Sluice.Worker.Generation.Constraints.Masks;

/// <summary>What follows after the rule that is being read: a stack of states, compared by value.</summary>
internal sealed class Frame : IEquatable<Frame>
{
    /// <summary>Stands for any stack, where only the edges of one rule matter.</summary>
    public static readonly Frame Unknown = new(-1, null, 0);

    private readonly int hash;

    /// <param name="returnState">The state after the rule.</param>
    /// <param name="parent">What follows after the rule of that state; null: the end of the text.</param>
    /// <param name="nesting">The open JSON objects and arrays.</param>
    public Frame(int returnState, Frame? parent, int nesting)
    {
        ReturnState = returnState;
        Parent = parent;
        Nesting = nesting;
        hash = HashCode.Combine(returnState, parent?.hash ?? 0);
    }

    /// <summary>The state after the rule.</summary>
    public int ReturnState { get; }

    /// <summary>What follows after the rule of that state; null: the end of the text.</summary>
    public Frame? Parent { get; }

    /// <summary>The open JSON objects and arrays.</summary>
    public int Nesting { get; }

    /// <summary>Returns whether two stacks are equal; both can be null.</summary>
    public static bool AreEqual(Frame? a, Frame? b)
    {
        while (!ReferenceEquals(a, b))
        {
            if (a is null || b is null || a.hash != b.hash || a.ReturnState != b.ReturnState) return false;
            (a, b) = (a.Parent, b.Parent);
        }

        return true;
    }

    public bool Equals(Frame? other) => other is not null && AreEqual(this, other);

    public override bool Equals(object? obj) => Equals(obj as Frame);

    public override int GetHashCode() => hash;
}
