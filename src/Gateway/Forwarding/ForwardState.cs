using System.Diagnostics;
using System.Globalization;
using Sluice.Domain.Declarations;
using Sluice.Domain.Fleet;
using Sluice.Gateway.Observability;
using Sluice.Gateway.Tokens;
using Sluice.Gateway.Tracing;
using Endpoint = Sluice.Domain.Declarations.Endpoint;

namespace Sluice.Gateway.Forwarding;

/// <summary>Holds the state of one forwarded request: its target, its worker and its timings.</summary>
public sealed class ForwardState(
    Deployment deployment,
    string target,
    string flow,
    long arrived,
    DateTimeOffset arrivedAt)
{
    private long promptTokens;

    public Endpoint Endpoint => deployment.Endpoint;

    public Template Template => deployment.Template;

    /// <summary>The path and query for the worker, with a leading slash, encoded as the client sent them.</summary>
    public string Target => target;

    /// <summary>The flow whose share of the queue the request uses.</summary>
    public string Flow => flow;

    /// <summary>Whether the request has no key. Its error texts then contain only public details.</summary>
    public bool Anonymous { get; init; }

    /// <summary>The weight of the flow relative to other flows.</summary>
    public double Weight { get; init; } = 1;

    /// <summary>
    /// Whether a key with the scope <c>admin</c> sent the request. The built-in worker accepts changes of its settings
    /// only from such requests.
    /// </summary>
    public bool Admin { get; init; }

    /// <summary>Whether clients use TLS, which ends in front of the gateway.</summary>
    public bool IsSecure { get; init; }

    /// <summary>
    /// Whether the request generates text. It has no effects, so it may run again on another worker at any time.
    /// </summary>
    public bool IsRepeatable { get; init; }

    /// <summary>
    /// Hashes of the beginning of the body (<see cref="PrefixBlocks"/>); null: not computed.
    /// </summary>
    public int[]? Beginning { get; set; }

    /// <summary>The stream that another worker could continue; null: the response is not one.</summary>
    public ResumableStream? Stream { get; set; }

    /// <summary>The arrival time, as a <see cref="Stopwatch"/> timestamp.</summary>
    public long Arrived => arrived;

    /// <summary>The duration of authentication.</summary>
    public TimeSpan Auth { get; set; }

    /// <summary>The time without a slot, over all attempts, including the cold start.</summary>
    public TimeSpan Waited { get; private set; }

    /// <summary>The part of <see cref="Waited"/> in which the assigned worker was not ready yet.</summary>
    public TimeSpan Cold { get; private set; }

    /// <summary>The time at which the request was assigned to the current worker, as a timestamp.</summary>
    public long Sent { get; private set; }

    /// <summary>The worker to which the request is currently assigned.</summary>
    public WorkerAddress? Worker { get; private set; }

    /// <summary>The number of workers to which the request was assigned.</summary>
    public int Attempts { get; private set; }

    /// <summary>The trace of the request; null: it has none.</summary>
    internal RequestTrace? Trace { get; set; }

    /// <summary>The span of the current attempt; null: it is not recorded.</summary>
    internal Activity? Forward { get; set; }

    /// <summary>Why the response cannot be forwarded, if the transformer rejected it.</summary>
    public string? Fault { get; set; }

    /// <summary>The model that the request names; null: it names none.</summary>
    public string? Model { get; init; }

    /// <summary>Microseconds that the request occupied workers, by its share of them, over all attempts.</summary>
    public long Busy { get; private set; }

    /// <summary>Bytes of the request's body.</summary>
    public long BytesIn { get; set; }

    /// <summary>Bytes of the responses' bodies.</summary>
    public long BytesOut { get; set; }

    /// <summary>Whether the request uses tokens, which the worker counts.</summary>
    public bool CountsTokens { get; init; }

    /// <summary>The id with which the worker reports the usage of this attempt.</summary>
    public string UsageId { get; private set; } = "";

    /// <summary>The usage that the worker reported at the end of its response.</summary>
    public TokenUsage? Usage { get; set; }

    /// <summary>The usage that the worker reported at the start of its stream.</summary>
    public TokenUsage? UsageAtStart
    {
        get;
        set
        {
            field = value;
            if (value is { } usage) Volatile.Write(ref promptTokens, usage.Prompt);
        }
    }

    /// <summary>What the request uses of a key/value cache, at most, as estimated; default: nothing.</summary>
    public TokenUsage Demand
    {
        get;
        init
        {
            field = value;
            promptTokens = value.Prompt;
        }
    }

    /// <summary>
    /// The tokens that the request may use at most: as estimated, with the prompt as the worker counted it, and with
    /// more generated tokens if the stream has more. Any thread may read it.
    /// </summary>
    public long MayUse => Volatile.Read(ref promptTokens)
        + Math.Max(Demand.Generated, Math.Max(Stream?.Parts ?? 0, Scanner?.Events ?? 0));

    /// <summary>Finds the usage in a response without marks; null: there is none.</summary>
    public UsageScanner? Scanner { get; set; }

    /// <summary>Assigns the request to a worker.</summary>
    /// <param name="worker">The worker.</param>
    /// <param name="waited">The wait for its slot.</param>
    public void Assign(WorkerAddress worker, TimeSpan waited)
    {
        Worker = worker;
        Attempts++;
        Usage = null;
        Scanner = null;
        if (CountsTokens) UsageId = Guid.NewGuid().ToString("N");
        Sent = Stopwatch.GetTimestamp();
        Waited += waited;
        var untilReady = worker.ReadyAt - arrivedAt;
        if (untilReady > TimeSpan.Zero) Cold = untilReady < Waited ? untilReady : Waited;
    }

    /// <summary>Counts the time of an attempt that ended.</summary>
    /// <param name="slots">The slots of the worker that no other request could use; 0: all of them.</param>
    public void CountBusy(int slots)
    {
        var share = slots == 0 ? 1 : (double)slots / Math.Max(1, Worker!.Concurrency);
        Busy += (long)(Stopwatch.GetElapsedTime(Sent).TotalMicroseconds * share);
    }

    /// <summary>Returns where the time of the request went, until now.</summary>
    public RequestTimes Times() => new(
        Waited - Cold, Cold, Worker is null ? null : Stopwatch.GetElapsedTime(Sent),
        (Stream?.FirstAt ?? Scanner?.FirstAt) is { } first ? Stopwatch.GetElapsedTime(Arrived, first) : null,
        Stopwatch.GetElapsedTime(Arrived));

    /// <summary>
    /// Returns the <c>Server-Timing</c> header of the response, in ms: auth, queue, cold (with the stages of the cold
    /// start), worker (until its first byte), and the worker's own entries.
    /// </summary>
    /// <param name="fromWorker">The worker's own <c>Server-Timing</c> header, or null.</param>
    public string ServerTiming(string? fromWorker)
    {
        var text = string.Create(CultureInfo.InvariantCulture,
            $"auth;dur={Ms(Auth)}, queue;dur={Ms(Waited - Cold)}, cold;dur={Ms(Cold)}");
        if (Worker is null) return text;
        if (Cold > TimeSpan.Zero)
            text += string.Concat(StartStages.Unpack(Worker.Start).Where(s => s.Name != StartStages.Total)
                .Select(s => string.Create(CultureInfo.InvariantCulture, $", cold-{s.Name};dur={s.Ms}")));
        var worker = Ms(Stopwatch.GetElapsedTime(Sent));
        return string.IsNullOrEmpty(fromWorker)
            ? string.Create(CultureInfo.InvariantCulture, $"{text}, worker;dur={worker}")
            : string.Create(CultureInfo.InvariantCulture, $"{text}, worker;dur={worker}, {fromWorker}");
    }

    /// <summary>Returns milliseconds, rounded to one microsecond.</summary>
    private static double Ms(TimeSpan time) => Math.Round(time.TotalMilliseconds, 3);
}
