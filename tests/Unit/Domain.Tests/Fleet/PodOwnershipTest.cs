using Sluice.Domain.Fleet;

namespace Sluice.Domain.Tests.Fleet;

/// <summary>Who manages the pods of a host that several gateways share.</summary>
public sealed class PodOwnershipTest
{
    private static readonly DateTimeOffset Now = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);
    private static readonly TimeSpan Lease = TimeSpan.FromSeconds(10);

    /// <summary>Whether this gateway leads; owner in the record and by the label; age in seconds; managed.</summary>
    public static TheoryData<bool, string?, string, int?, bool> Cases => new()
    {
        // Its own pods, from an earlier process or from a start that was reported as failed.
        { false, "here", "here", 60, false },
        { false, null, "here", 0, false },
        // The record names the owner, not the gateway that ordered the pod.
        { true, "here", "living", 60, false },
        { true, "living", "here", 60, true },
        { true, "living", "lost", 60, true },
        { true, null, "living", 60, true },
        // The leader adopts the pods of lost gateways.
        { true, "lost", "lost", 60, false },
        { false, "lost", "lost", 60, true },
        { true, null, "lost", 60, false },
        { true, null, "lost", null, false },
        { false, null, "lost", 60, true },
        // A gateway that is newer than the list of hosts stores the record soon.
        { true, null, "new", 9, true },
        { true, null, "new", 10, false },
    };

    [Theory]
    [MemberData(nameof(Cases))]
    public void Each_pod_has_one_manager(bool leads, string? recorded, string ordered, int? age, bool managed)
    {
        var owners = recorded is null ? new Dictionary<string, string>() : new() { ["p"] = recorded };
        var ownership = new PodOwnership("here", leads, new HashSet<string> { "here", "living" }, owners, Now);
        var created = age is { } seconds ? Now - TimeSpan.FromSeconds(seconds) : (DateTimeOffset?)null;
        Assert.Equal(managed, ownership.IsManaged("p", ordered, created, Lease));
    }
}
