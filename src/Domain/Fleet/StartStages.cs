using System.Globalization;
using System.Text.RegularExpressions;

namespace Sluice.Domain.Fleet;

/// <summary>
/// Combines the stages of a worker's start from the reports of its host and of the worker, and packs them for the
/// requests that waited for it: <c>name=ms,name=ms</c>, with the public names. Pure.
/// </summary>
public static partial class StartStages
{
    /// <summary>From the order to readiness: the last stage, which contains all others.</summary>
    public const string Total = "total";

    /// <summary>Largest number of stages that are passed on, because a worker may report its own.</summary>
    private const int MaxStages = 16;

    /// <summary>
    /// Stages that are not passed on: those that overlap with others, and names that have another meaning there.
    /// </summary>
    private static readonly HashSet<string> Reserved = ["host", "queued", "firstAnswer", Total];

    private static readonly Dictionary<string, string> Names = new()
    {
        ["spawn"] = "process",
        ["ort"] = "provider",
        ["warmup"] = "warmUp",
    };

    /// <summary>The stages of the hosts and of the built-in worker.</summary>
    private static readonly HashSet<string> BuiltIn =
        ["placed", "download", "pull", "create", "start", "spawn", "runtime", "host", "ort", "model", "warmup", Total];

    /// <summary>
    /// Returns the metric label of a stage. All unknown stages share one label, because each label is a series that is
    /// kept indefinitely.
    /// </summary>
    public static string Label(string stage) => BuiltIn.Contains(stage) ? stage : "other";

    /// <summary>Combines a pod's stages.</summary>
    /// <param name="placed">Time from the order until the call to its host.</param>
    /// <param name="host">The stages that the host measured before the pod ran.</param>
    /// <param name="worker">The stages that the worker reported.</param>
    /// <param name="total">Time from the order to readiness, ms.</param>
    public static StartStage[] Combine(
        TimeSpan placed,
        IReadOnlyList<StartStage> host,
        IReadOnlyList<StartStage> worker,
        double total)
    {
        var reported = worker.FirstOrDefault(s => s.Name == Total)?.Ms ?? 0;
        var spawn = total - placed.TotalMilliseconds - host.Sum(s => s.Ms) - reported;
        return
        [
            new("placed", Math.Round(placed.TotalMilliseconds, 1)),
            .. host,
            new("spawn", Math.Round(Math.Max(0, spawn), 1)),
            .. worker.Where(s => s.Name != Total),
            new(Total, Math.Round(total, 1)),
        ];
    }

    /// <summary>
    /// Packs the stages for requests and jobs: the consecutive ones, and the total. <c>host</c> (the worker listens)
    /// overlaps with the others.
    /// </summary>
    public static string Pack(IReadOnlyList<StartStage> stages) => string.Join(',', stages
        .Where(s => !Reserved.Contains(s.Name) && Name().IsMatch(s.Name) && s.Ms is >= 0 and < 1e9)
        .Select(s => s with { Name = Names.GetValueOrDefault(s.Name, s.Name) })
        .DistinctBy(s => s.Name)
        .Take(MaxStages)
        .Concat(stages.Where(s => s.Name == Total).TakeLast(1))
        .Select(s => string.Create(CultureInfo.InvariantCulture, $"{s.Name}={s.Ms:0.#}")));

    /// <summary>Parses the result of <see cref="Pack"/>.</summary>
    public static IReadOnlyList<StartStage> Unpack(string packed) =>
    [
        .. packed.Split(',', StringSplitOptions.RemoveEmptyEntries).Select(s => s.Split('='))
            .Select(s => new StartStage(s[0], double.Parse(s[1], CultureInfo.InvariantCulture))),
    ];

    [GeneratedRegex(@"\A[A-Za-z0-9_-]{1,32}\z")]
    private static partial Regex Name();
}
