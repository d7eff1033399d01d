namespace Sluice.Worker.Generation.Constraints.Grammars;

/// <summary>An edge that reads one byte of a range.</summary>
internal readonly record struct ByteEdge(byte Low, byte High, int Target, CharacterRole Role);
