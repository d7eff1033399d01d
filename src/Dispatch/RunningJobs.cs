namespace Sluice.Dispatch;

/// <summary>
/// Tracks the job attempts of one endpoint that this gateway has claimed and not ended. Not thread-safe: the owner
/// synchronizes access.
/// </summary>
internal sealed class RunningJobs
{
    private readonly Dictionary<string, JobGrant> grants = [];

    public bool IsEmpty => grants.Count == 0;

    /// <summary>The number of attempts whose slot is in use.</summary>
    public int SlotsInUse => grants.Values.Count(g => g.Slot is { IsReturned: false });

    /// <summary>Returns the names that <c>renew</c> uses for the attempts.</summary>
    public string[] Keys() => [.. grants.Keys];

    public bool Contains(string key) => grants.ContainsKey(key);

    public JobGrant? Find(string key) => grants.GetValueOrDefault(key);

    /// <summary>Returns the attempts of a job: more than one if Redis lost a claim and granted the job again.</summary>
    public List<JobGrant> AttemptsOf(string job) => [.. grants.Values.Where(g => g.Claim.Id == job)];

    public List<JobGrant> All() => [.. grants.Values];

    public void Add(JobGrant grant) => grants.Add(grant.Key, grant);

    public void Remove(JobGrant grant) => grants.Remove(grant.Key);
}
