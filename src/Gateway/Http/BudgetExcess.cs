namespace Sluice.Gateway.Http;

/// <summary>The budget that has no room for a request, as a part of the error response.</summary>
/// <param name="Id">The id of the budget.</param>
/// <param name="Scope">gateway, endpoint, key or tag.</param>
/// <param name="Target">The endpoint, key or tag; empty for the gateway.</param>
/// <param name="Unit">requests, tokens, workerSeconds or money.</param>
/// <param name="Window">day, week or month, in UTC.</param>
/// <param name="Limit">The limit, in the unit.</param>
/// <param name="Used">What is used and reserved in the window, in the unit.</param>
/// <param name="ResetsAt">The end of the window.</param>
public sealed record BudgetExcess(string Id, string Scope, string Target, string Unit, string Window, double Limit,
    double Used, DateTimeOffset ResetsAt);
