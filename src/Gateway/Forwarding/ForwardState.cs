using System.Diagnostics;
using System.Globalization;
using Sluice.Core.Dispatch;
using Sluice.Core.Endpoints;
using Sluice.Core.Workers;
using Endpoint = Sluice.Core.Endpoints.Endpoint;

namespace Sluice.Gateway.Forwarding;

/// <summary>One request on its way through the gateway: what was asked of whom, and where its time went.</summary>
public sealed class ForwardState(Deployment deployment, string target, string flow, long arrived, DateTimeOffset arrivedAt)
{
    public Endpoint Endpoint => deployment.Endpoint;

    public Template Template => deployment.Template;

    /// <summary>Path and query at the worker, with a leading slash, encoded as the client wrote them.</summary>
    public string Target => target;

    /// <summary>Whose share of the queue the request counts against.</summary>
    public string Flow => flow;

    /// <summary>It carries no key: what is not for everyone is not told.</summary>
    public bool Anonymous { get; init; }

    /// <summary>That one's share beside others.</summary>
    public double Weight { get; init; } = 1;

    /// <summary>The built-in worker is asked by a key of the scope admin: it lets nobody else change its settings.</summary>
    public bool Admin { get; init; }

    /// <summary>Timestamp of arrival.</summary>
    public long Arrived => arrived;

    /// <summary>How long authentication took.</summary>
    public TimeSpan Auth { get; set; }

    /// <summary>Time spent without a slot, over all attempts; the cold start included.</summary>
    public TimeSpan Waited { get; private set; }

    /// <summary>The part of <see cref="Waited"/> in which the worker that took it was not ready yet.</summary>
    public TimeSpan Cold { get; private set; }

    /// <summary>Timestamp at which the present worker was given the request.</summary>
    public long Sent { get; private set; }

    /// <summary>The worker that has it.</summary>
    public WorkerAddress? Worker { get; private set; }

    /// <summary>Workers that it was given to.</summary>
    public int Attempts { get; private set; }

    /// <summary>Why the answer cannot be passed on, when the transformer found one.</summary>
    public string? Fault { get; set; }

    /// <summary>Tokens that the worker says it made.</summary>
    public long Tokens { get; set; }

    public void Give(WorkerAddress worker, TimeSpan waited)
    {
        Worker = worker;
        Attempts++;
        Sent = Stopwatch.GetTimestamp();
        Waited += waited;
        var untilReady = worker.ReadyAt - arrivedAt;
        if (untilReady > TimeSpan.Zero) Cold = untilReady < Waited ? untilReady : Waited;
    }

    /// <summary>The <c>Server-Timing</c> of the answer, in ms: auth, queue, cold (and the stages of the start that was waited for), worker (to
    /// its first byte), and what the worker said itself.</summary>
    public string ServerTiming(string? fromWorker)
    {
        var text = string.Create(CultureInfo.InvariantCulture,
            $"auth;dur={Ms(Auth)}, queue;dur={Ms(Waited - Cold)}, cold;dur={Ms(Cold)}");
        if (Worker is null) return text;
        if (Cold > TimeSpan.Zero)
            text += string.Concat(StartStages.Unpack(Worker.Start).Where(s => s.Name != StartStages.Total)
                .Select(s => string.Create(CultureInfo.InvariantCulture, $", cold-{s.Name};dur={s.Ms}")));
        var worker = Ms(Stopwatch.GetElapsedTime(Sent));
        return string.IsNullOrEmpty(fromWorker) ? string.Create(CultureInfo.InvariantCulture, $"{text}, worker;dur={worker}")
            : string.Create(CultureInfo.InvariantCulture, $"{text}, worker;dur={worker}, {fromWorker}");
    }

    /// <summary>To the microsecond.</summary>
    private static double Ms(TimeSpan time) => Math.Round(time.TotalMilliseconds, 3);
}
