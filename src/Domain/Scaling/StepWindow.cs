namespace Sluice.Domain.Scaling;

/// <summary>The current step interval.</summary>
/// <param name="Since">When the interval started; null if there is none.</param>
/// <param name="From">Number of workers at that time.</param>
public readonly record struct StepWindow(DateTimeOffset? Since, int From);
