namespace Sluice.Storage.Jobs;

/// <summary>The result of an invariant check.</summary>
/// <param name="EndpointId">The endpoint.</param>
/// <param name="Jobs">The number of jobs checked: all queued and running jobs, and the newest of the others.</param>
/// <param name="Known">The number of jobs whose data is stored.</param>
/// <param name="Count">The number of violations.</param>
/// <param name="Violations">Descriptions of the first 100 violations.</param>
public sealed record InvariantReport(
    string EndpointId,
    int Jobs,
    long Known,
    int Count,
    IReadOnlyList<string> Violations);
