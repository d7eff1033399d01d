using Sluice.Domain.Usage;

namespace Sluice.Storage.Usage;

/// <summary>An alert of a budget.</summary>
/// <param name="Level">50, 80, 100 (percent) or <c>projected</c>.</param>
/// <param name="Budget">The budget.</param>
/// <param name="Used">What was used at the alert.</param>
/// <param name="Limit">The limit at the alert.</param>
/// <param name="Begin">The begin of the window.</param>
/// <param name="End">The end of the window.</param>
public sealed record BudgetAlert(
    string Level, Budget Budget, double Used, double Limit, DateTimeOffset Begin, DateTimeOffset End);
