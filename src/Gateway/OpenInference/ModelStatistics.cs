using System.Buffers;
using System.Net;
using System.Runtime.InteropServices;
using System.Text.Json;
using Sluice.Domain.Declarations;
using Sluice.Gateway.Forwarding;
using Sluice.Storage.Queueing;
using Endpoint = Sluice.Domain.Declarations.Endpoint;

namespace Sluice.Gateway.OpenInference;

/// <summary>
/// Collects the statistics of the models of several endpoints in Triton's format. It queries one ready built-in worker
/// per endpoint, without using a slot. An endpoint has no entries if it has no ready worker or its worker does not
/// respond in time. No worker is started.
/// </summary>
public sealed class ModelStatistics(WorkerSlotStore slots, WorkerClients clients, TimeProvider time)
{
    /// <summary>The number of workers that are queried concurrently.</summary>
    private const int MaxConcurrent = 16;

    /// <summary>The maximum size of a worker's response in bytes.</summary>
    private const int MaxBytes = 4 << 20;

    /// <summary>The timeout for the response of one worker.</summary>
    private static readonly TimeSpan WorkerTimeout = TimeSpan.FromSeconds(2);

    /// <summary>The timeout for the responses of all workers.</summary>
    private static readonly TimeSpan Timeout = TimeSpan.FromSeconds(10);

    /// <summary>Returns the response body for <c>/v2/models/stats</c>, in UTF-8.</summary>
    public async Task<ReadOnlyMemory<byte>> CollectAsync(IReadOnlyList<Deployment> deployments, CancellationToken ct)
    {
        var queried = deployments.Where(d => d.Template.IsBuiltIn)
            .OrderBy(d => d.Endpoint.Id, StringComparer.Ordinal)
            .ToList();
        var answers = new byte[]?[queried.Count];
        using var late = new CancellationTokenSource(Timeout, time);
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(ct, late.Token);
        var options = new ParallelOptions { MaxDegreeOfParallelism = MaxConcurrent, CancellationToken = ct };
        await Parallel.ForAsync(0, queried.Count, options,
            async (i, _) => answers[i] = await QueryAsync(queried[i].Endpoint, limit.Token));
        ct.ThrowIfCancellationRequested();
        return Merge(queried.Select((d, i) => (d.Endpoint, answers[i])));
    }

    /// <summary>Merges the entries of the models that the endpoints serve into one list.</summary>
    private static ReadOnlyMemory<byte> Merge(IEnumerable<(Endpoint Endpoint, byte[]? Answer)> answers)
    {
        var merged = new ArrayBufferWriter<byte>();
        using var json = new Utf8JsonWriter(merged);
        json.WriteStartObject();
        json.WriteStartArray("model_stats");
        foreach (var (endpoint, answer) in answers)
        {
            if (answer is null) continue;
            using var document = JsonDocument.Parse(answer);
            foreach (var entry in document.RootElement.GetProperty("model_stats").EnumerateArray())
                if (endpoint.ServedModels.Contains(entry.GetProperty("name").GetString()))
                    json.WriteRawValue(JsonMarshal.GetRawUtf8Value(entry));
        }

        json.WriteEndArray();
        json.WriteEndObject();
        json.Flush();
        return merged.WrittenMemory;
    }

    /// <summary>Returns the response of a worker, or null if no worker is ready or it did not respond.</summary>
    private async Task<byte[]?> QueryAsync(Endpoint endpoint, CancellationToken ct)
    {
        using var late = new CancellationTokenSource(WorkerTimeout, time);
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(ct, late.Token);
        try
        {
            if (await slots.FindWorkerAsync(endpoint.Id, limit.Token) is not { } worker) return null;
            using var request = new HttpRequestMessage(HttpMethod.Get, worker.Prefix + "/v2/models/stats")
            {
                Version = WorkerClients.VersionOf(worker.Protocol),
                VersionPolicy = HttpVersionPolicy.RequestVersionExact,
            };
            request.Headers.TryAddWithoutValidation("Authorization", worker.Authorization);
            using var answer = await clients.For(worker.Protocol).SendAsync(request, limit.Token);
            if (answer.StatusCode != HttpStatusCode.OK) return null;
            await using var stream = await answer.Content.ReadAsStreamAsync(limit.Token);
            var all = new MemoryStream();
            var buffer = new byte[16 << 10];
            while (await stream.ReadAsync(buffer, limit.Token) is var n and > 0)
            {
                if (all.Length + n > MaxBytes) return null;
                all.Write(buffer, 0, n);
            }

            return all.ToArray();
        }
        catch (Exception e) when (e is HttpRequestException or IOException or OperationCanceledException)
        {
            return null;
        }
    }
}
