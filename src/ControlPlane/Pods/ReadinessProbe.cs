using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Net.Sockets;
using Sluice.Domain.Declarations;
using Sluice.Domain.Fleet;
using Sluice.Domain.Gpus;
using Sluice.Domain.Notation;
using Sluice.Hosting;
using Sluice.Shared;

namespace Sluice.ControlPlane.Pods;

/// <summary>Checks over HTTP whether pods are ready, with the protocol that requests will use.</summary>
public sealed class ReadinessProbe(TimeProvider time) : IDisposable
{
    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(5);
    private static readonly TimeSpan LongestPause = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan AnswerWithin = TimeSpan.FromSeconds(1.2);

    /// <summary>Number of stages that a worker may report; the built-in worker has nine.</summary>
    private const int MaxStages = 32;

    private const int MaxStageName = 64;

    /// <summary>Number of characters of an error that are passed on.</summary>
    private const int MaxSeen = 200;

    /// <summary>
    /// A start reports why it is not ready only after this time. Most starts are faster, and each report is a write to
    /// Redis.
    /// </summary>
    private static readonly TimeSpan ReportAfter = TimeSpan.FromSeconds(1);

    private static readonly TimeSpan ReportEvery = TimeSpan.FromSeconds(1);

    // Any process may answer at the address. The probe uses no proxy, redirects or cookies, and reads only the headers.
    private readonly HttpClient client = new(new SocketsHttpHandler
    {
        UseProxy = false,
        AllowAutoRedirect = false,
        UseCookies = false,
        ConnectTimeout = AnswerWithin,
    })
    {
        Timeout = AnswerWithin,
    };

    /// <summary>
    /// Waits until the pod is ready. The pause between two probes grows; a line of output triggers a probe immediately.
    /// </summary>
    /// <param name="pod">The pod.</param>
    /// <param name="saw">
    /// Receives the result of the last probe when it changes, once the start takes longer than usual.
    /// </param>
    /// <param name="ct">Cancels the wait.</param>
    /// <returns>Null when the pod is ready, else the reason why it will not be.</returns>
    public async Task<string?> WaitReadyAsync(RunningPod pod, Action<string>? saw, CancellationToken ct)
    {
        var limit = pod.Deployment.Template.StartTimeout;
        var (pause, reported, nextReport) = (FirstPause, "", ReportAfter);
        while (!pod.Exited.IsCompleted)
        {
            ct.ThrowIfCancellationRequested();
            var newLine = pod.NextLine;
            var result = await ProbeAsync(pod, ct);
            if (result.Ready) return null;
            var running = time.GetElapsedTime(pod.Started);
            if (result.Seen != reported && running >= nextReport)
            {
                if (result.Answered && await ProbeOtherProtocolAsync(pod, ct) is { } mismatch) return mismatch;
                (reported, nextReport) = (result.Seen, running + ReportEvery);
                saw?.Invoke(reported);
            }

            if (running > limit)
                return $"not ready at {pod.Deployment.Template.ReadyPath} within {Duration.Format(limit)}: "
                    + result.Seen;
            await Task.WhenAny(pod.Exited, newLine, Task.Delay(pause, time, ct));
            pause = pause * 1.25 > LongestPause ? LongestPause : pause * 1.25;
        }

        return await pod.Exited;
    }

    /// <summary>Checks whether the pod is ready now, and stores the start stages that it reports.</summary>
    public Task<ProbeResult> ProbeAsync(RunningPod pod, CancellationToken ct) =>
        ProbeAsync(pod, pod.Address.Protocol, ct);

    /// <summary>
    /// Probes with the protocol that the template does not select. A worker that is ready over that one will never be
    /// ready over the other.
    /// </summary>
    private async Task<string?> ProbeOtherProtocolAsync(RunningPod pod, CancellationToken ct)
    {
        var other = pod.Address.Protocol == WorkerProtocol.H2c ? WorkerProtocol.Http1 : WorkerProtocol.H2c;
        if (!(await ProbeAsync(pod, other, ct)).Ready) return null;
        return $"the worker is ready over {Name(other)}, "
            + $"but the template's protocol is {Setting(pod.Address.Protocol)}: set protocol: {Setting(other)}";
    }

    private async Task<ProbeResult> ProbeAsync(RunningPod pod, WorkerProtocol protocol, CancellationToken ct)
    {
        var uri = new Uri(pod.Address.Uri, pod.Deployment.Template.ReadyPath);
        using var request = new HttpRequestMessage(HttpMethod.Get, uri);
        request.Version = protocol == WorkerProtocol.H2c ? HttpVersion.Version20 : HttpVersion.Version11;
        request.VersionPolicy = HttpVersionPolicy.RequestVersionExact;
        request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", pod.Address.Token);
        try
        {
            using var answer = await client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, ct);
            if (!answer.IsSuccessStatusCode) return Seen($"status {(int)answer.StatusCode}", answered: true);
            if (answer.Headers.TryGetValues("Server-Timing", out var timing)) pod.Stages = Stages(timing);
            if (answer.Headers.TryGetValues(TokenCapacity.Header, out var cache))
                pod.Cache = TokenCapacity.Parse(cache.First());
            if (answer.Headers.TryGetValues(DeviceReport.Header, out var devices))
                pod.Devices = DeviceReport.Parse(devices.First());
            return new ProbeResult(Ready: true, "ready");
        }
        catch (HttpRequestException e)
        {
            var failed = e.HttpRequestError == HttpRequestError.ConnectionError;
            var refused = failed
                && e.InnerException is SocketException { SocketErrorCode: SocketError.ConnectionRefused };
            if (refused) return Seen("connection refused", answered: false);
            return failed
                ? Seen(PrintableText.Escape(e.Message, MaxSeen), answered: false)
                : Seen($"no valid {Name(protocol)} answer", answered: true);
        }
        catch (OperationCanceledException) when (!ct.IsCancellationRequested)
        {
            var limit = AnswerWithin.TotalSeconds;
            return Seen(string.Create(CultureInfo.InvariantCulture, $"no answer within {limit:0.#} s"), answered: true);
        }

        ProbeResult Seen(string what, bool answered) =>
            new(Ready: false, $"GET {uri} over {Name(protocol)}: {what}", answered);
    }

    private static string Name(WorkerProtocol protocol) => protocol == WorkerProtocol.H2c ? "HTTP/2 (h2c)" : "HTTP/1.1";

    private static string Setting(WorkerProtocol protocol) => protocol == WorkerProtocol.H2c ? "h2c" : "http1";

    public void Dispose() => client.Dispose();

    /// <summary>
    /// Parses the stages that a worker reports, and drops those that cannot be stored or counted: JSON has no infinity.
    /// </summary>
    private static StartStage[] Stages(IEnumerable<string> serverTiming) =>
    [
        .. serverTiming.SelectMany(h => h.Split(','))
            .Select(s => s.Trim().Split(";dur="))
            .Where(p => p.Length == 2 && p[0].Length <= MaxStageName)
                .Select(p => new StartStage(p[0], ParseMs(p[1])))
                .Where(s => double.IsFinite(s.Ms) && s.Ms >= 0)
                .Take(MaxStages),
    ];

    private static double ParseMs(string text) =>
        double.TryParse(text, CultureInfo.InvariantCulture, out var ms) ? ms : double.NaN;
}
