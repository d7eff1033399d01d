using System.Text.Json;
using Sluice.Domain.Fleet;
using Sluice.Gateway.Forwarding;
using Sluice.Gateway.Tokens;

namespace Sluice.Gateway.Limits;

/// <summary>
/// Reads the usage of an aborted request from the built-in worker, after the engine has ended its texts. An aborted
/// response cannot contain it.
/// </summary>
public sealed class WorkerUsage(WorkerClients clients, TimeProvider time)
{
    /// <summary>The engine ends a text with its current step.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    /// <summary>Reads the usage. Null: the worker is gone, or does not know the request.</summary>
    /// <param name="worker">The worker.</param>
    /// <param name="id">The value of <see cref="TokenUsage.IdHeader"/>.</param>
    public async Task<TokenUsage?> ReadAsync(WorkerAddress worker, string id)
    {
        using var limit = new CancellationTokenSource(Patience, time);
        try
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, $"{worker.Prefix}/usage/{id}")
            {
                Version = WorkerClients.VersionOf(worker.Protocol),
                VersionPolicy = HttpVersionPolicy.RequestVersionExact,
            };
            request.Headers.TryAddWithoutValidation("Authorization", worker.Authorization);
            using var response = await clients.For(worker.Protocol).SendAsync(request, limit.Token);
            if (!response.IsSuccessStatusCode) return null;
            await using var body = await response.Content.ReadAsStreamAsync(limit.Token);
            using var json = await JsonDocument.ParseAsync(body, default, limit.Token);
            var root = json.RootElement;
            return new TokenUsage(root.GetProperty("prompt").GetInt32(), root.GetProperty("cached").GetInt32(),
                root.GetProperty("generated").GetInt32());
        }
        catch (Exception e) when (e is HttpRequestException or IOException or OperationCanceledException
            or JsonException or KeyNotFoundException or InvalidOperationException or FormatException)
        {
            return null;
        }
    }
}
