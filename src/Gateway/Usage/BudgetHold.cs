using Sluice.Domain.Usage;

namespace Sluice.Gateway.Usage;

/// <summary>The budgets that a request counts in, from its reservation to its settlement.</summary>
/// <param name="Request">The id of the reservation.</param>
/// <param name="Endpoint">The endpoint of the request.</param>
/// <param name="Budgets">The budgets; none: the request counts in no budget.</param>
public sealed record BudgetHold(string Request, string Endpoint, IReadOnlyList<Budget> Budgets)
{
    /// <summary>A request that counts in no budget.</summary>
    public static BudgetHold None { get; } = new("", "", []);

    /// <summary>Returns the reservation of a job.</summary>
    public static BudgetHold OfJob(string endpoint, string job, IReadOnlyList<Budget> budgets) =>
        new($"{endpoint}:{job}", endpoint, budgets);

    /// <summary>Returns the endpoint and the job of a reservation of a job.</summary>
    public static (string Endpoint, string Job) JobOf(string request)
    {
        var at = request.IndexOf(':', StringComparison.Ordinal);
        return (request[..at], request[(at + 1)..]);
    }
}
