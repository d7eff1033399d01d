namespace Sluice.Domain.Schema;

/// <summary>How long the reason for a step must last before the leader takes the step.</summary>
/// <param name="Prepare">
/// Time in which a gateway of an earlier build may restart during a rolling upgrade. A restart takes a few seconds.
/// </param>
/// <param name="Activate">
/// Time from the check of the version to the first lease of a gateway that was starting when the version was prepared.
/// It takes a second or two.
/// </param>
public sealed record SchemaWaits(TimeSpan Prepare, TimeSpan Activate)
{
    /// <summary>The waits of the product.</summary>
    public static readonly SchemaWaits Standard = new(TimeSpan.FromSeconds(20), TimeSpan.FromSeconds(15));

    /// <summary>Returns the wait before a step.</summary>
    public TimeSpan Before(SchemaStepKind kind) => kind switch
    {
        SchemaStepKind.Prepare => Prepare,
        SchemaStepKind.Activate => Activate,
        _ => TimeSpan.Zero,
    };
}
