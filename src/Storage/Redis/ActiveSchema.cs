using Sluice.Domain.Schema;

namespace Sluice.Storage.Redis;

/// <summary>
/// The version of the data in this Redis as this gateway read it last, with its lease. Code that writes a format asks
/// whether the version allows it.
/// </summary>
/// <param name="supported">The versions that this gateway supports; null: those of this build.</param>
/// <param name="waits">The waits before the leader's steps; null: those of the product.</param>
public sealed class ActiveSchema(SchemaRange? supported = null, SchemaWaits? waits = null)
{
    private readonly TaskCompletionSource unsupported = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private volatile SchemaView view = new(SchemaNumber.At((supported ?? SchemaRange.Own).Newest), []);

    /// <summary>The versions that this gateway supports.</summary>
    public SchemaRange Supported => supported ?? SchemaRange.Own;

    /// <summary>The waits before the leader's steps.</summary>
    public SchemaWaits Waits => waits ?? SchemaWaits.Standard;

    /// <summary>What was read last. Before the first read, the newest version is assumed.</summary>
    public SchemaView View => view;

    /// <summary>Completes when Redis has a version that this gateway does not support: it must stop.</summary>
    public Task Unsupported => unsupported.Task;

    /// <summary>Whether the formats of a version may be written now.</summary>
    public bool Allows(int version) => view.Usable >= version;

    /// <summary>Records what was read.</summary>
    public void Update(SchemaView seen)
    {
        view = seen;
        if (!Supported.Supports(seen.Schema)) unsupported.TrySetResult();
    }

    /// <summary>
    /// Returns why the formats of a version are not written now, as sentences for clients. It names the gateways that
    /// do not support them.
    /// </summary>
    public string WhyNot(int version)
    {
        var seen = view;
        var why = $"It needs version {version} of the data in Redis, and version {seen.Schema.Active} is active";
        var earlier = seen.Below(version);
        return earlier.Count == 0
            ? $"{why}. The leader raises it within a minute, because all gateways support it."
            : $"{why}. These gateways run an earlier version of Sluice: "
                + $"{string.Join(", ", earlier.Select(g => g.HostId))}.";
    }

    /// <summary>Returns why this gateway cannot use the data, and what to do.</summary>
    public static string Describe(SchemaNumber found, SchemaRange supported) =>
        $"The schema of the data in Redis (sluice:schema) is '{found}'; expected {supported.Oldest} to "
        + $"{supported.Newest}. "
        + (found.Required > supported.Newest
            ? "A newer version of Sluice raised it, and it is not lowered. Start that version, or restore the backup "
                + "from before its upgrade. "
            : "Start a version of Sluice between the one that stored the data and this one first. ")
        + "See docs/operations/upgrade.md.";
}
