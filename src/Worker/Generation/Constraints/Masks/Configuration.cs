namespace Sluice.Worker.Generation.Constraints.Masks;

/// <summary>One way to read the text so far.</summary>
/// <param name="State">The state.</param>
/// <param name="Frame">What follows after its rule; null: the end of the text.</param>
/// <param name="Bounds">The index of the bounds of the string that is being read; -1: none.</param>
/// <param name="Characters">The characters of that string so far.</param>
internal readonly record struct Configuration(int State, Frame? Frame, int Bounds, int Characters)
{
    /// <summary>Returns whether two ways are equal.</summary>
    public bool IsSame(in Configuration other) =>
        State == other.State && Bounds == other.Bounds && Characters == other.Characters &&
        Frame.AreEqual(Frame, other.Frame);
}
