namespace Sluice.Worker.Generation.Constraints.Grammars;

/// <summary>An edge that reads what a rule accepts.</summary>
/// <param name="Rule">The rule.</param>
/// <param name="Return">The state after it.</param>
/// <param name="Bounds">The index of the bounds of the number of characters; -1: none.</param>
internal readonly record struct CallEdge(int Rule, int Return, int Bounds);
