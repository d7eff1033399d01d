namespace Sluice.Domain.Scaling;

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
