namespace Sluice.Domain.Scaling;

/// <summary>One named step of a decision and the number of workers after it.</summary>
/// <param name="Name">One of <see cref="ScaleSteps"/>.</param>
/// <param name="Workers">Number of workers wanted after the step.</param>
/// <param name="Why">The inputs and the rule of the step as text.</param>
public readonly record struct ScaleStep(string Name, int Workers, string Why);

/// <summary>Why an endpoint rejects requests, and until when.</summary>
/// <param name="Reason">The reason.</param>
/// <param name="Until">When the endpoint accepts requests again; <see cref="DateTimeOffset.MaxValue"/> if an operator
/// must change something first.</param>
/// <param name="PublicReason">The reason for clients without an API key; null if it is the same.</param>
public sealed record Refusal(string Reason, DateTimeOffset Until, string? PublicReason = null);

/// <summary>Defines the names of the steps of a decision, in order.</summary>
public static class ScaleSteps
{
    /// <summary>The demand of the scaler.</summary>
    public const string Demand = "demand";

    /// <summary>One worker for requests that arrived and ended between two passes.</summary>
    public const string Recent = "recent";

    /// <summary>Buffer workers.</summary>
    public const string Buffer = "buffer";

    /// <summary>A scheduled minimum.</summary>
    public const string Schedule = "schedule";

    /// <summary>Limits to min and max.</summary>
    public const string Bounds = "bounds";

    /// <summary>Limit of added workers per interval.</summary>
    public const string Step = "step";

    /// <summary>Delay of a scale-in.</summary>
    public const string Hold = "hold";

    /// <summary>Pause by an operator.</summary>
    public const string Pause = "pause";

    /// <summary>Limit of the worker time per day.</summary>
    public const string Spend = "spend";

    public static IReadOnlyList<string> All { get; } =
        [Demand, Recent, Buffer, Schedule, Bounds, Step, Hold, Pause, Spend];
}
