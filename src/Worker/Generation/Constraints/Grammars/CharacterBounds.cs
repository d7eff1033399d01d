namespace Sluice.Worker.Generation.Constraints.Grammars;

/// <summary>The least and greatest number of characters of a string; -1: no greatest number.</summary>
internal readonly record struct CharacterBounds(int Min, int Max);
