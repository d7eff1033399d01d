namespace Sluice.Gateway.Http;

/// <summary>Marks a request that changes nothing. Only a handler that respects <c>?dryRun=true</c> sets it.</summary>
internal sealed record DryRun;
