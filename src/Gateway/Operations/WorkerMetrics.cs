using System.Net;
using System.Text;
using Sluice.Core.Dispatch;
using Sluice.Core.Workers;
using Sluice.Gateway.Forwarding;

namespace Sluice.Gateway.Operations;

/// <summary>
/// The metrics of this host's workers, for a Prometheus that cannot reach them itself: each one is asked for its own. However many ask,
/// the workers are asked once at a time.
/// </summary>
public sealed class WorkerMetrics(PodFleet fleet, WorkerClients clients, TimeProvider time)
{
    /// <summary>Workers asked at the same time.</summary>
    private const int AtOnce = 16;

    /// <summary>Of one worker's answer.</summary>
    private const int MaxBytes = 4 << 20;

    /// <summary>For one worker's answer.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(2);

    /// <summary>For all of them: less than the five seconds after which the Prometheus of docker-compose.yml gives up.</summary>
    private static readonly TimeSpan WholePatience = TimeSpan.FromSeconds(4);

    private readonly Lock gate = new();
    private Task<string>? asking;

    /// <summary>All of them, in Prometheus' text format. A worker that has no metrics (404) is not told.</summary>
    public Task<string> CollectAsync(CancellationToken ct)
    {
        lock (gate)
        {
            if (asking is not { IsCompleted: false }) asking = AskAllAsync();
            return asking.WaitAsync(ct);
        }
    }

    private async Task<string> AskAllAsync()
    {
        using var whole = new CancellationTokenSource(WholePatience, time);
        var workers = fleet.Serving.ToList();
        var scrapes = new Scrape?[workers.Count];
        await Parallel.ForAsync(0, workers.Count, new ParallelOptions { MaxDegreeOfParallelism = AtOnce }, async (i, _) =>
        {
            var (pod, address) = workers[i];
            scrapes[i] = await AskAsync(pod.EndpointId, address, whole.Token);
        });
        return ScrapeMerge.Write([.. scrapes.OfType<Scrape>()]);
    }

    private async Task<Scrape?> AskAsync(string endpoint, WorkerAddress worker, CancellationToken whole)
    {
        using var late = new CancellationTokenSource(Patience, time);
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(whole, late.Token);
        try
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, worker.Prefix + "/metrics")
            {
                Version = WorkerClients.VersionOf(worker.Protocol),
                VersionPolicy = HttpVersionPolicy.RequestVersionExact,
            };
            request.Headers.TryAddWithoutValidation("Authorization", worker.Authorization);
            request.Headers.TryAddWithoutValidation("Accept", "text/plain;version=0.0.4");
            using var answer = await clients.For(worker.Protocol).SendAsync(request, limit.Token);
            if (answer.StatusCode == HttpStatusCode.NotFound) return null;
            return new Scrape(endpoint, worker.PodId, answer.StatusCode == HttpStatusCode.OK ? await ReadAsync(answer.Content, limit.Token) : null);
        }
        catch (Exception e) when (e is HttpRequestException or IOException or OperationCanceledException)
        {
            return new Scrape(endpoint, worker.PodId, null);
        }
    }

    /// <summary>Null: it is too long.</summary>
    private static async Task<string?> ReadAsync(HttpContent content, CancellationToken ct)
    {
        await using var stream = await content.ReadAsStreamAsync(ct);
        var (all, buffer) = (new MemoryStream(), new byte[16 << 10]);
        while (await stream.ReadAsync(buffer, ct) is var n and > 0)
        {
            if (all.Length + n > MaxBytes) return null;
            all.Write(buffer, 0, n);
        }

        return Encoding.UTF8.GetString(all.GetBuffer(), 0, (int)all.Length);
    }
}
