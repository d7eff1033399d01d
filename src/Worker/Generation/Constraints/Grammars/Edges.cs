namespace Sluice.Worker.Generation.Constraints.Grammars;

/// <summary>The groups of edges of a grammar's states.</summary>
/// <param name="Bytes">Edges that read a byte.</param>
/// <param name="Calls">Edges that read what a rule accepts.</param>
/// <param name="Tokens">Edges that read a token without text.</param>
internal sealed record Edges(ByteEdge[] Bytes, CallEdge[] Calls, TokenEdge[] Tokens);
