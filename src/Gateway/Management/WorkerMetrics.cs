using System.Net;
using System.Text;
using Sluice.ControlPlane.Pods;
using Sluice.Domain.Fleet;
using Sluice.Gateway.Forwarding;
using Sluice.Gateway.Observability;

namespace Sluice.Gateway.Management;

/// <summary>
/// Collects the metrics of this host's workers, for a Prometheus that cannot connect to them. Concurrent scrapes share
/// one collection.
/// </summary>
public sealed class WorkerMetrics(PodManager fleet, WorkerClients clients, TimeProvider time)
{
    /// <summary>The number of workers that are queried concurrently.</summary>
    private const int MaxConcurrent = 16;

    /// <summary>The maximum size of a worker's response in bytes.</summary>
    private const int MaxBytes = 4 << 20;

    /// <summary>The timeout for the response of one worker.</summary>
    private static readonly TimeSpan WorkerTimeout = TimeSpan.FromSeconds(2);

    /// <summary>
    /// The timeout for the responses of all workers. It is less than the scrape timeout of the Prometheus in
    /// docker-compose.yml, 5 s.
    /// </summary>
    private static readonly TimeSpan Timeout = TimeSpan.FromSeconds(4);

    private readonly Lock gate = new();
    private Task<string>? collection;

    /// <summary>
    /// Returns the metrics of all workers in Prometheus' text format. A worker without metrics (404) is omitted.
    /// </summary>
    public Task<string> CollectAsync(CancellationToken ct)
    {
        lock (gate)
        {
            if (collection is not { IsCompleted: false }) collection = QueryAllAsync();
            return collection.WaitAsync(ct);
        }
    }

    /// <summary>
    /// Returns the metrics of one worker in the same form. Null: this gateway does not manage it, or it is not ready.
    /// </summary>
    public async Task<string?> FindAsync(string endpoint, string worker)
    {
        var (pod, address) = fleet.Serving.FirstOrDefault(w => w.Pod.Id == worker && w.Pod.EndpointId == endpoint);
        if (pod is null) return null;
        using var whole = new CancellationTokenSource(Timeout, time);
        return await QueryAsync(endpoint, address, whole.Token) is { } scrape ? ScrapeMerge.Write([scrape]) : "";
    }

    private async Task<string> QueryAllAsync()
    {
        using var whole = new CancellationTokenSource(Timeout, time);
        var workers = fleet.Serving.ToList();
        var scrapes = new Scrape?[workers.Count];
        var options = new ParallelOptions { MaxDegreeOfParallelism = MaxConcurrent };
        await Parallel.ForAsync(0, workers.Count, options, async (i, _) =>
        {
            var (pod, address) = workers[i];
            scrapes[i] = await QueryAsync(pod.EndpointId, address, whole.Token);
        });
        return ScrapeMerge.Write([.. scrapes.OfType<Scrape>()]);
    }

    private async Task<Scrape?> QueryAsync(string endpoint, WorkerAddress worker, CancellationToken whole)
    {
        using var late = new CancellationTokenSource(WorkerTimeout, time);
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
            var text = answer.StatusCode == HttpStatusCode.OK ? await ReadAsync(answer.Content, limit.Token) : null;
            return new Scrape(endpoint, worker.PodId, text);
        }
        catch (Exception e) when (e is HttpRequestException or IOException or OperationCanceledException)
        {
            return new Scrape(endpoint, worker.PodId, null);
        }
    }

    /// <summary>Reads the response body. Returns null if it is larger than <see cref="MaxBytes"/>.</summary>
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
