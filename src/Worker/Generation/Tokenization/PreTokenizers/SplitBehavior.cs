namespace Sluice.Worker.Generation.Tokenization.PreTokenizers;

/// <summary>What happens with the separators of a split.</summary>
internal enum SplitBehavior
{
    /// <summary>A separator is removed.</summary>
    Removed,

    /// <summary>A separator is a part.</summary>
    Isolated,

    /// <summary>A separator belongs to the part before it.</summary>
    MergedWithPrevious,

    /// <summary>A separator belongs to the part after it.</summary>
    MergedWithNext,

    /// <summary>Successive separators are one part.</summary>
    Contiguous,
}
