namespace Sluice.Worker.Generation.Scheduling;

/// <summary>The size of a key/value cache: rows for sequences, each with room for some tokens.</summary>
/// <param name="Rows">Number of rows.</param>
/// <param name="Length">Number of tokens of each row.</param>
public readonly record struct CacheSize(int Rows, int Length);
