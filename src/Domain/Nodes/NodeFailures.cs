using System.Collections.Immutable;

namespace Sluice.Domain.Nodes;

/// <summary>
/// The recent failed starts of one endpoint, by host: a start that fails on one machine, for example because a file is
/// missing there, may succeed on another one. Immutable; times are passed in.
/// </summary>
public sealed class NodeFailures
{
    /// <summary>
    /// How long a failed start counts: longer than the longest pause between two starts (<c>StartBackoff</c>). After
    /// it, the fault of the node may have been repaired.
    /// </summary>
    public static readonly TimeSpan RecentFor = TimeSpan.FromMinutes(10);

    private readonly ImmutableDictionary<string, DateTimeOffset> last;

    private NodeFailures(ImmutableDictionary<string, DateTimeOffset> last) => this.last = last;

    /// <summary>No failed starts.</summary>
    public static NodeFailures None { get; } = new(ImmutableDictionary<string, DateTimeOffset>.Empty);

    /// <summary>Returns the failures with another one.</summary>
    public NodeFailures WithFailure(string hostId, DateTimeOffset at) =>
        new(last.RemoveRange(last.Where(f => !IsRecent(f.Value, at)).Select(f => f.Key)).SetItem(hostId, at));

    /// <summary>Returns the failures without those of a host, on which a worker became ready.</summary>
    public NodeFailures Without(string hostId) => last.ContainsKey(hostId) ? new(last.Remove(hostId)) : this;

    /// <summary>Returns the time of a host's last failed start; null: it has no recent one.</summary>
    public DateTimeOffset? LastOf(string hostId, DateTimeOffset now) =>
        last.TryGetValue(hostId, out var at) && IsRecent(at, now) ? at : null;

    /// <summary>Returns the hosts with recent failed starts.</summary>
    public IReadOnlySet<string> Hosts(DateTimeOffset now) =>
        last.Where(f => IsRecent(f.Value, now)).Select(f => f.Key).ToHashSet();

    private static bool IsRecent(DateTimeOffset at, DateTimeOffset now) => now - at < RecentFor;
}
