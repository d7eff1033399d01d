namespace Sluice.Domain.Scaling;

/// <summary>The state of the CONCURRENCY scaler.</summary>
/// <param name="Stable">Mean concurrency over the stable window.</param>
/// <param name="Burst">Mean concurrency over the panic window.</param>
/// <param name="Since">When the panic was last confirmed; null if there is no panic.</param>
/// <param name="Most">The highest number of workers wanted during the panic.</param>
public readonly record struct Panic(MovingAverage Stable, MovingAverage Burst, DateTimeOffset? Since, int Most);
