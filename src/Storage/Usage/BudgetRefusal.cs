using Sluice.Domain.Usage;

namespace Sluice.Storage.Usage;

/// <summary>A budget without room for a request.</summary>
/// <param name="Budget">The budget.</param>
/// <param name="State">What is used of it.</param>
/// <param name="Amount">The amount that did not fit.</param>
public sealed record BudgetRefusal(Budget Budget, BudgetState State, long Amount);
