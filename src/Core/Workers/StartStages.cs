using System.Globalization;
using System.Text.RegularExpressions;

namespace Sluice.Core.Workers;

/// <summary>
/// The stages of a worker's start, put together from what its host and the worker itself tell, and packed for those that waited for it:
/// <c>name=ms,name=ms</c>, with the names that people are told. Pure.
/// </summary>
public static partial class StartStages
{
    /// <summary>Order to readiness: the last stage, which holds all others.</summary>
    public const string Total = "total";

    /// <summary>A worker may tell stages of its own; so many are passed on.</summary>
    private const int Most = 16;

    /// <summary>Not passed on under these names: what runs beside the others, and what stands for something else there.</summary>
    private static readonly HashSet<string> Kept = ["host", "queued", "firstAnswer", Total];

    private static readonly Dictionary<string, string> Names = new()
    {
        ["spawn"] = "process",
        ["ort"] = "provider",
        ["warmup"] = "warmUp",
    };

    /// <summary>Those of our hosts and of the built-in worker.</summary>
    private static readonly HashSet<string> Ours = ["placed", "pull", "create", "start", "spawn", "runtime", "host", "ort", "model", "warmup", Total];

    /// <summary>A stage as metrics call it: what workers make up would be a series each, kept for ever.</summary>
    public static string Label(string stage) => Ours.Contains(stage) ? stage : "other";

    /// <summary>A pod's stages.</summary>
    /// <param name="placed">From the order until its host was asked.</param>
    /// <param name="host">What the host did before it ran.</param>
    /// <param name="worker">What the worker told of its own start.</param>
    /// <param name="total">Order to readiness, ms.</param>
    public static StartStage[] Of(TimeSpan placed, IReadOnlyList<StartStage> host, IReadOnlyList<StartStage> worker, double total)
    {
        var told = worker.FirstOrDefault(s => s.Name == Total)?.Ms ?? 0;
        return
        [
            new("placed", Math.Round(placed.TotalMilliseconds, 1)),
            .. host,
            new("spawn", Math.Round(Math.Max(0, total - placed.TotalMilliseconds - host.Sum(s => s.Ms) - told), 1)),
            .. worker.Where(s => s.Name != Total),
            new(Total, Math.Round(total, 1)),
        ];
    }

    /// <summary>For requests and jobs: stages that follow one another (<c>host</c>, that the worker listens, runs beside the others), and the total.</summary>
    public static string Pack(IReadOnlyList<StartStage> stages) => string.Join(',', stages
        .Where(s => !Kept.Contains(s.Name) && Name().IsMatch(s.Name) && s.Ms is >= 0 and < 1e9)
        .Select(s => s with { Name = Names.GetValueOrDefault(s.Name, s.Name) }).DistinctBy(s => s.Name).Take(Most)
        .Concat(stages.Where(s => s.Name == Total).TakeLast(1))
        .Select(s => string.Create(CultureInfo.InvariantCulture, $"{s.Name}={s.Ms:0.#}")));

    /// <summary>What <see cref="Pack"/> made.</summary>
    public static IReadOnlyList<StartStage> Unpack(string packed) =>
    [
        .. packed.Split(',', StringSplitOptions.RemoveEmptyEntries).Select(s => s.Split('='))
            .Select(s => new StartStage(s[0], double.Parse(s[1], CultureInfo.InvariantCulture))),
    ];

    [GeneratedRegex(@"\A[A-Za-z0-9_-]{1,32}\z")]
    private static partial Regex Name();
}
