namespace Sluice.Storage.Batches;

/// <summary>What a commit saw of a batch.</summary>
/// <param name="Status">Its status.</param>
/// <param name="Now">The time, by the clock of Redis.</param>
/// <param name="Expires">When the batch expires.</param>
public readonly record struct BatchLook(string Status, DateTimeOffset Now, DateTimeOffset Expires);
