using System.Text.Json.Serialization;
using Sluice.Core.Endpoints;

namespace Sluice.Core.Dispatch;

/// <summary>Where a ready worker is and how it is spoken to. Immutable for the life of a pod.</summary>
/// <param name="PodId">Random, never used again for another process.</param>
/// <param name="Uri">Base address, <c>http://127.0.0.1:port</c>.</param>
/// <param name="Protocol">HTTP/2 cleartext or HTTP/1.1.</param>
/// <param name="Token">Bearer token that the pod demands.</param>
/// <param name="Concurrency">Its slots.</param>
/// <param name="ReadyAt">When it first answered ready, by its host's clock: what a request waited before that was the
/// cold start.</param>
/// <param name="Start">Where the time of its start went, as <c>StartStages</c> packs it.</param>
public sealed record WorkerAddress(string PodId, Uri Uri, WorkerProtocol Protocol, string Token, int Concurrency,
    DateTimeOffset ReadyAt = default, string Start = "")
{
    /// <summary>The header's value; made once, used by every request.</summary>
    [JsonIgnore]
    public string Authorization { get; } = "Bearer " + Token;

    /// <summary>The address without a slash at its end.</summary>
    [JsonIgnore]
    public string Prefix { get; } = Uri.OriginalString.TrimEnd('/');
}
