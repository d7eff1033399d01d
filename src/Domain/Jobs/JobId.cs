namespace Sluice.Domain.Jobs;

/// <summary>
/// The id of a job: a UUID of version 7, and for a job that names one endpoint and runs at another,
/// <c>-</c> and the id of the other: <c>019ad2f0-8d5f-7a3e-9c2b-6f1f0d9f0a11-digits-v2</c>.
/// </summary>
public static class JobId
{
    private const int UuidLength = 36;

    /// <summary>Creates an id.</summary>
    /// <param name="endpoint">The endpoint where the job runs, if it names another; otherwise null.</param>
    public static string New(string? endpoint = null) =>
        endpoint is null ? $"{Guid.CreateVersion7()}" : $"{Guid.CreateVersion7()}-{endpoint}";

    /// <summary>Returns the endpoint where a job runs, if its id has one; otherwise null.</summary>
    public static string? EndpointOf(string id) =>
        id.Length > UuidLength + 1 && id[UuidLength] == '-' ? id[(UuidLength + 1)..] : null;
}
