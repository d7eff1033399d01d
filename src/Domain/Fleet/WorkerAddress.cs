using System.Text.Json.Serialization;
using Sluice.Domain.Declarations;

namespace Sluice.Domain.Fleet;

/// <summary>The address of a ready worker and how to connect to it. Immutable for the lifetime of a pod.</summary>
/// <param name="PodId">Random; never reused for another process.</param>
/// <param name="Uri">The base address, <c>http://127.0.0.1:port</c>.</param>
/// <param name="Protocol">HTTP/2 cleartext or HTTP/1.1.</param>
/// <param name="Token">The bearer token that the pod requires.</param>
/// <param name="Concurrency">The number of slots.</param>
/// <param name="ReadyAt">
/// When it first reported ready, by the clock of its host. The part of a request's wait before this time is its cold
/// start.
/// </param>
/// <param name="Start">The stages of its start, in the format of <c>StartStages</c>.</param>
public sealed record WorkerAddress(
    string PodId,
    Uri Uri,
    WorkerProtocol Protocol,
    string Token,
    int Concurrency,
    DateTimeOffset ReadyAt = default,
    string Start = "")
{
    /// <summary>How many tokens it can hold; null: it does not say, and only its slots limit it.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public TokenCapacity? Cache { get; init; }

    /// <summary>Its devices, as usage is counted (<see cref="Pod.Gpu"/>); null: it has none.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Gpu { get; init; }

    /// <summary>The value of the Authorization header, created once for all requests.</summary>
    [JsonIgnore]
    public string Authorization { get; } = "Bearer " + Token;

    /// <summary>The address without a trailing slash.</summary>
    [JsonIgnore]
    public string Prefix { get; } = Uri.OriginalString.TrimEnd('/');
}
