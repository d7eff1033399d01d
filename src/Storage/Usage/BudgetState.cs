namespace Sluice.Storage.Usage;

/// <summary>What is used of a budget in its current window.</summary>
/// <param name="Used">What is used or reserved, in the unit of the budget.</param>
/// <param name="Begin">The begin of the window.</param>
/// <param name="End">The end of the window, at which nothing is used again.</param>
public sealed record BudgetState(double Used, DateTimeOffset Begin, DateTimeOffset End);
