namespace Sluice.Worker.Batching;

/// <summary>Why no more requests were added to a batch.</summary>
public enum BatchCut
{
    /// <summary>No other request was waiting.</summary>
    Drained,

    /// <summary>The batch has the maximum number of rows.</summary>
    Full,

    /// <summary>The next request has more rows than are free in the batch.</summary>
    NextTooLarge,

    /// <summary>All waiting requests have tensors of another shape.</summary>
    Shape,

    /// <summary>The model runs one request at a time.</summary>
    Unbatched,
}
