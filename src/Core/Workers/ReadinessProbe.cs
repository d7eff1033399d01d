using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Net.Sockets;
using Sluice.Core.Dispatch;
using Sluice.Core.Endpoints;

namespace Sluice.Core.Workers;

/// <summary>Asks pods whether they are ready, over HTTP, as they will be spoken to later.</summary>
public sealed class ReadinessProbe(TimeProvider time) : IDisposable
{
    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(5);
    private static readonly TimeSpan LongestPause = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan AnswerWithin = TimeSpan.FromSeconds(1.2);

    /// <summary>Stages that a worker may tell: ours has nine.</summary>
    private const int MaxStages = 32;

    private const int MaxStageName = 64;

    /// <summary>Characters of an error that are passed on.</summary>
    private const int MaxSeen = 200;

    /// <summary>A start reports why it is not ready only after this time. Most starts are faster, and each report is a write to Redis.</summary>
    private static readonly TimeSpan TellAfter = TimeSpan.FromSeconds(1);

    private static readonly TimeSpan TellEvery = TimeSpan.FromSeconds(1);

    // A worker is whoever answers at its address: it is asked there and nowhere else, and only its headers are read.
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

    /// <summary>Waits for the pod's first ready answer, asking ever more slowly, and immediately when it writes a line.</summary>
    /// <param name="pod">The pod.</param>
    /// <param name="saw">Receives the result of the last probe when it changes, once the start takes longer than usual.</param>
    /// <param name="ct">Ends the wait.</param>
    /// <returns>Null when it is ready; else why it will not be.</returns>
    public async Task<string?> WaitReadyAsync(RunningPod pod, Action<string>? saw, CancellationToken ct)
    {
        var limit = pod.Deployment.Template.StartTimeout;
        var (pause, told, nextTold) = (FirstPause, "", TellAfter);
        while (!pod.Exited.IsCompleted)
        {
            ct.ThrowIfCancellationRequested();
            var spoke = pod.Spoke;
            var result = await AskAsync(pod, ct);
            if (result.Ready) return null;
            var running = time.GetElapsedTime(pod.Started);
            if (result.Seen != told && running >= nextTold)
            {
                if (result.Answered && await AskOtherwiseAsync(pod, ct) is { } mismatch) return mismatch;
                (told, nextTold) = (result.Seen, running + TellEvery);
                saw?.Invoke($"not ready: {told}");
            }

            if (running > limit) return $"not ready at {pod.Deployment.Template.ReadyPath} within {Duration.Format(limit)}: {result.Seen}";
            await Task.WhenAny(pod.Exited, spoke, Task.Delay(pause, time, ct));
            pause = pause * 1.25 > LongestPause ? LongestPause : pause * 1.25;
        }

        return await pod.Exited;
    }

    /// <summary>Whether the pod answers ready now; keeps the start stages that it reports.</summary>
    public Task<ProbeResult> AskAsync(RunningPod pod, CancellationToken ct) => AskAsync(pod, pod.Address.Protocol, ct);

    /// <summary>Asks over the protocol that the template does not name. A worker that is ready over that one never will be over the other.</summary>
    private async Task<string?> AskOtherwiseAsync(RunningPod pod, CancellationToken ct)
    {
        var other = pod.Address.Protocol == WorkerProtocol.H2c ? WorkerProtocol.Http1 : WorkerProtocol.H2c;
        return !(await AskAsync(pod, other, ct)).Ready ? null
            : $"the worker is ready over {Name(other)}, but the template's protocol is {Setting(pod.Address.Protocol)}: set protocol: {Setting(other)}";
    }

    private async Task<ProbeResult> AskAsync(RunningPod pod, WorkerProtocol protocol, CancellationToken ct)
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
            return new ProbeResult(Ready: true, "ready");
        }
        catch (HttpRequestException e)
        {
            var refused = e.HttpRequestError == HttpRequestError.ConnectionError;
            return Seen(refused && e.InnerException is SocketException { SocketErrorCode: SocketError.ConnectionRefused } ? "connection refused"
                : refused ? PrintableText.Of(e.Message, MaxSeen) : $"no valid {Name(protocol)} answer", answered: !refused);
        }
        catch (OperationCanceledException) when (!ct.IsCancellationRequested)
        {
            return Seen(string.Create(CultureInfo.InvariantCulture, $"no answer within {AnswerWithin.TotalSeconds:0.#} s"), answered: true);
        }

        ProbeResult Seen(string what, bool answered) => new(Ready: false, $"GET {uri} over {Name(protocol)}: {what}", answered);
    }

    private static string Name(WorkerProtocol protocol) => protocol == WorkerProtocol.H2c ? "HTTP/2 (h2c)" : "HTTP/1.1";

    private static string Setting(WorkerProtocol protocol) => protocol == WorkerProtocol.H2c ? "h2c" : "http1";

    public void Dispose() => client.Dispose();

    /// <summary>What of a worker's word can be stored and counted: JSON has no infinity.</summary>
    private static StartStage[] Stages(IEnumerable<string> serverTiming) =>
    [
        .. serverTiming.SelectMany(h => h.Split(',')).Select(s => s.Trim().Split(";dur=")).Where(p => p.Length == 2 && p[0].Length <= MaxStageName)
            .Select(p => new StartStage(p[0], double.TryParse(p[1], CultureInfo.InvariantCulture, out var ms) ? ms : double.NaN))
            .Where(s => double.IsFinite(s.Ms) && s.Ms >= 0).Take(MaxStages),
    ];
}

/// <summary>What one question came to.</summary>
/// <param name="Ready">Whether the pod is ready.</param>
/// <param name="Seen">What was asked and what came of it, for an operator.</param>
/// <param name="Answered">Whether something listens there, though it was not ready.</param>
public readonly record struct ProbeResult(bool Ready, string Seen, bool Answered = false);
