namespace Sluice.Worker.Generation.Constraints.Grammars;

/// <summary>An edge that reads a special token.</summary>
internal readonly record struct TokenEdge(int Token, int Target);
