using System.Buffers;
using System.Net;
using System.Runtime.InteropServices;
using System.Text.Json;
using Sluice.Core.Dispatch;
using Sluice.Core.Endpoints;
using Sluice.Gateway.Forwarding;
using Endpoint = Sluice.Core.Endpoints.Endpoint;

namespace Sluice.Gateway.Operations;

/// <summary>
/// Triton's statistics of several endpoints' models: of each endpoint one ready built-in worker is asked, beside its slots. An endpoint without a ready
/// worker, or whose worker does not answer in time, has no entries. No worker is started.
/// </summary>
public sealed class ModelStatistics(WorkerSlotStore slots, WorkerClients clients, TimeProvider time)
{
    /// <summary>Workers asked at the same time.</summary>
    private const int MaxConcurrent = 16;

    /// <summary>Bytes of one worker's answer.</summary>
    private const int MaxBytes = 4 << 20;

    /// <summary>For one worker's answer.</summary>
    private static readonly TimeSpan WorkerTimeout = TimeSpan.FromSeconds(2);

    /// <summary>For all of them.</summary>
    private static readonly TimeSpan Timeout = TimeSpan.FromSeconds(10);

    /// <summary>The answer to <c>/v2/models/stats</c>, in UTF-8.</summary>
    public async Task<ReadOnlyMemory<byte>> CollectAsync(IReadOnlyList<Deployment> deployments, CancellationToken ct)
    {
        var asked = deployments.Where(d => d.Template.IsBuiltIn).OrderBy(d => d.Endpoint.Id, StringComparer.Ordinal).ToList();
        var answers = new byte[]?[asked.Count];
        using var late = new CancellationTokenSource(Timeout, time);
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(ct, late.Token);
        await Parallel.ForAsync(0, asked.Count, new ParallelOptions { MaxDegreeOfParallelism = MaxConcurrent, CancellationToken = ct },
            async (i, _) => answers[i] = await AskAsync(asked[i].Endpoint, limit.Token));
        ct.ThrowIfCancellationRequested();
        return Merge(asked.Select((d, i) => (d.Endpoint, answers[i])));
    }

    /// <summary>All entries of the models that the endpoints serve, in one list.</summary>
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
                if (endpoint.ServedModels.Contains(entry.GetProperty("name").GetString())) json.WriteRawValue(JsonMarshal.GetRawUtf8Value(entry));
        }

        json.WriteEndArray();
        json.WriteEndObject();
        json.Flush();
        return merged.WrittenMemory;
    }

    /// <summary>Null: no worker is ready, or it did not answer.</summary>
    private async Task<byte[]?> AskAsync(Endpoint endpoint, CancellationToken ct)
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
