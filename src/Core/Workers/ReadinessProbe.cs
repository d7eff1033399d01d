using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
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

    /// <summary>Waits for the pod's first ready answer, asking ever more slowly, and at once when it says something. Null
    /// when it is there; else why it will not come.</summary>
    public async Task<string?> WaitReadyAsync(RunningPod pod, CancellationToken ct)
    {
        var limit = pod.Deployment.Template.StartTimeout;
        var pause = FirstPause;
        while (!pod.Exited.IsCompleted)
        {
            ct.ThrowIfCancellationRequested();
            var spoke = pod.Spoke;
            if (await AskAsync(pod, ct)) return null;
            if (time.GetElapsedTime(pod.Started) > limit)
                return $"not ready at {pod.Deployment.Template.ReadyPath} within {Duration.Format(limit)}";
            await Task.WhenAny(pod.Exited, spoke, Task.Delay(pause, time, ct));
            pause = pause * 1.25 > LongestPause ? LongestPause : pause * 1.25;
        }

        return await pod.Exited;
    }

    /// <summary>Whether the pod answers ready now; keeps the start stages that it tells.</summary>
    public async Task<bool> AskAsync(RunningPod pod, CancellationToken ct)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get,
            new Uri(pod.Address.Uri, pod.Deployment.Template.ReadyPath));
        request.Version = pod.Address.Protocol == WorkerProtocol.H2c ? HttpVersion.Version20 : HttpVersion.Version11;
        request.VersionPolicy = HttpVersionPolicy.RequestVersionExact;
        request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", pod.Address.Token);
        try
        {
            using var answer = await client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, ct);
            if (!answer.IsSuccessStatusCode) return false;
            if (answer.Headers.TryGetValues("Server-Timing", out var timing)) pod.Stages = Stages(timing);
            return true;
        }
        catch (Exception e) when (e is HttpRequestException or OperationCanceledException && !ct.IsCancellationRequested)
        {
            return false;
        }
    }

    public void Dispose() => client.Dispose();

    /// <summary>What of a worker's word can be stored and counted: JSON has no infinity.</summary>
    private static StartStage[] Stages(IEnumerable<string> serverTiming) =>
    [
        .. serverTiming.SelectMany(h => h.Split(',')).Select(s => s.Trim().Split(";dur=")).Where(p => p.Length == 2 && p[0].Length <= MaxStageName)
            .Select(p => new StartStage(p[0], double.TryParse(p[1], CultureInfo.InvariantCulture, out var ms) ? ms : double.NaN))
            .Where(s => double.IsFinite(s.Ms) && s.Ms >= 0).Take(MaxStages),
    ];
}
