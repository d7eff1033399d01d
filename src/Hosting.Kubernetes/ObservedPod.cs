namespace Sluice.Hosting.Kubernetes;

/// <summary>What a Pod object says about its worker.</summary>
internal sealed record ObservedPod
{
    public required PodProgress Progress { get; init; }

    /// <summary>
    /// Why it does not run yet, or how it ended, for operators; empty: it runs, or was only just created.
    /// </summary>
    public string Reason { get; init; } = "";

    /// <summary>
    /// How long the reason may last before the start has failed: zero if only a change can help; null if it resolves
    /// itself.
    /// </summary>
    public TimeSpan? Tolerance { get; init; }

    /// <summary>Whether a scheduling gate holds it back: a queue has not admitted it yet.</summary>
    public bool IsGated { get; init; }

    /// <summary>The pod's address; null: it has none yet.</summary>
    public string? Address { get; init; }

    /// <summary>Why Kubernetes wants to end it, while it may still finish its requests; null: it does not.</summary>
    public string? Leaving { get; init; }

    /// <summary>When its container began to run; null: it did not.</summary>
    public DateTimeOffset? RunningSince { get; init; }

    /// <summary>When it was assigned to a node; null: it was not.</summary>
    public DateTimeOffset? ScheduledAt { get; init; }
}
