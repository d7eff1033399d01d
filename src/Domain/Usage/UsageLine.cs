namespace Sluice.Domain.Usage;

/// <summary>The usage of a group in a step of time.</summary>
/// <param name="at">The begin of the step.</param>
/// <param name="group">The group; null: the rest, such as the time of workers that no key used.</param>
public sealed class UsageLine(DateTimeOffset at, string? group)
{
    public DateTimeOffset At { get; } = at;

    public string? Group { get; } = group;

    /// <summary>The sums of the ledger.</summary>
    public UsageSums Sums { get; } = new();

    /// <summary>The time of workers.</summary>
    public WorkerSeconds Seconds { get; private set; }

    /// <summary>The cost of <see cref="Seconds"/>, without <see cref="UnpricedSeconds"/>.</summary>
    public double Cost { get; private set; }

    /// <summary>Seconds of workers whose type has no price.</summary>
    public double UnpricedSeconds { get; private set; }

    internal void Add(UsageSums sums, WorkerSeconds seconds, double? perHour)
    {
        Sums.Add(sums);
        Seconds = new WorkerSeconds(
            Seconds.Starting + seconds.Starting, Seconds.Busy + seconds.Busy, Seconds.Idle + seconds.Idle);
        if (perHour is { } price) Cost += seconds.Total * price / 3600;
        else UnpricedSeconds += seconds.Total;
    }
}
